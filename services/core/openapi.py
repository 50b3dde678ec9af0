"""The OpenAPI description of the service, one for both apps; `python -m services.core.openapi` writes it to a file."""

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "openapi.json"


@cache
def describe_service() -> dict[str, Any]:
    """The description as it is served."""
    return json.loads(FILE.read_text())
