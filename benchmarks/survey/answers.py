"""What each network was asked and answered, one file a network: an interrupted survey goes on where it stopped."""

import json
from pathlib import Path
from time import perf_counter

from benchmarks.survey.networks import Published
from xnb import lint
from xnb.folders import ROOT, replace_file

FOLDER = ROOT / "build" / "models"


def ask(network: Published) -> dict[str, str]:
    """For each method, why it refuses the network; empty where it runs."""
    verdicts = lint(network.build(), network.pictures(1))
    return {str(method): str(reason) for method, reason in verdicts["reason"].items()}


def file_of(network: Published, folder: Path = FOLDER) -> Path:
    return folder / network.library / f"{network.name}.json"


def read_or_ask(network: Published, folder: Path = FOLDER, *, again: bool = False) -> dict[str, str]:
    """The answers on file, or new ones, which are put on file."""
    path = file_of(network, folder)
    if path.exists() and not again:
        return json.loads(path.read_text())["reasons"]
    start = perf_counter()
    reasons = ask(network)
    with replace_file(path) as part:
        part.write_text(json.dumps({"reasons": reasons, "seconds": round(perf_counter() - start, 1)}, indent=1))
    return reasons
