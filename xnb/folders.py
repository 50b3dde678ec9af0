"""Where the collection keeps its files; each folder can be moved by an environment variable."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"


def cache() -> Path:
    """Downloads and conversions, never committed: `data/cache/`, or what `XNB_CACHE` names."""
    return Path(os.environ.get("XNB_CACHE", DATA / "cache"))


def figures() -> Path:
    """Figures and their numbers: `figures/`, or what `XNB_FIGURES` names."""
    return Path(os.environ.get("XNB_FIGURES", ROOT / "figures"))
