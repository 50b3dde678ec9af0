"""Where the collection keeps its files, and how a file is written whole or not at all."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"
_ABANDONED_SECONDS = 86_400  # no file takes a day to write: such a draft belongs to a killed run


def cache_folder() -> Path:
    """Return the folder of downloads and conversions, never committed: `data/cache/`, or what `XNB_CACHE` names."""
    return Path(os.environ.get("XNB_CACHE", DATA / "cache"))


def figure_folder() -> Path:
    """Return the folder of figures and their numbers: `figures/`, or what `XNB_FIGURES` names."""
    return Path(os.environ.get("XNB_FIGURES", ROOT / "figures"))


@contextmanager
def replace_file(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield a draft beside `path`; it takes the place of `path` at the end, and only if the block ends well.

    A run that is killed within the block leaves the file as it was before; the draft that it leaves is removed by a
    later one. Each run has a draft of its own, so that two at once end with the file of one. Missing folders are made.

    Args:
        folder: around `path`, beside which the draft lies: in the folder itself are then whole files alone.
    """
    place = folder or path
    draft = place.with_name(f".{place.name}.{uuid4().hex}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_old_drafts(place)
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _remove_old_drafts(path: Path) -> None:
    for draft in path.parent.glob(f".{escape(path.name)}.*.part"):
        with suppress(FileNotFoundError):  # another run has ended meanwhile
            if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
                draft.unlink()
