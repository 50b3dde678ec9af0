"""Where the collection keeps its files, and how a file is written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"


def cache_folder() -> Path:
    """Return the folder of downloads and conversions, never committed: `data/cache/`, or what `XNB_CACHE` names."""
    return Path(os.environ.get("XNB_CACHE", DATA / "cache"))


def figure_folder() -> Path:
    """Return the folder of figures and their numbers: `figures/`, or what `XNB_FIGURES` names."""
    return Path(os.environ.get("XNB_FIGURES", ROOT / "figures"))


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a draft beside `path`; it takes the place of `path` at the end, and only if the block ends well.

    A run that is killed within the block leaves the file as it was before. Missing folders are made.
    """
    draft = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
