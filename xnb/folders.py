"""Where the collection keeps its files, and how a file is written whole or not at all."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType
from uuid import uuid4

_AROUND = Path(__file__).parents[1]
# A checkout of the repository lies around the package; where it was installed without one, a folder of packages does.
IS_CHECKOUT = (_AROUND / "pyproject.toml").is_file() and (_AROUND / "notebooks").is_dir()


def _find_user_cache() -> Path:
    """Return the folder in which programs of this user may leave what can be made again."""
    if "XDG_CACHE_HOME" in os.environ:
        return Path(os.environ["XDG_CACHE_HOME"])
    with suppress(RuntimeError):  # a process may have no home
        return Path.home() / ".cache"
    return Path(gettempdir())


ROOT = _AROUND if IS_CHECKOUT else _find_user_cache() / "xnb"
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"
_HAS_LOCKS = find_spec("fcntl") is not None  # not on Windows
_ABANDONED_SECONDS = 86_400  # no file takes a day to write: such a draft belongs to a killed run


def cache_folder() -> Path:
    """Return the folder of downloads and conversions, never committed: `data/cache/`, or what `XNB_CACHE` names.

    Without a checkout `data/` lies below the user's own cache, `~/.cache/xnb/`.
    """
    return Path(os.environ.get("XNB_CACHE", DATA / "cache"))


def figure_folder() -> Path:
    """Return the folder of figures and their numbers: `figures/`, or what `XNB_FIGURES` names.

    Without a checkout that is `figures/` where the program runs.
    """
    home = ROOT if IS_CHECKOUT else Path.cwd()
    return Path(os.environ.get("XNB_FIGURES", home / "figures"))


class NamedFile:
    """Around what writes a file: an error of the disk that tells no name, as that it is full, tells this one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(self.path)


@contextmanager
def replace_file(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield a draft beside `path`; it takes the place of `path` at the end, and only if the block ends well.

    A run that is killed within the block leaves the file as it was before; the draft that it leaves is removed by a
    later one. Each run has a draft of its own, so that two at once end with the file of one. Missing folders are made.
    The draft is on the disk before it takes its place: where the power fails, the file is there as before, or whole.

    Args:
        folder: around `path`, beside which the draft lies: in the folder itself are then whole files alone.
    """
    place = folder or path
    draft = place.with_name(f".{place.name}.{uuid4().hex}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_old_drafts(place)
    try:
        with NamedFile(path):
            yield draft
            _bring_to_disk(draft)
        draft.replace(path)
    finally:
        with suppress(OSError):  # a later run removes it; the error to tell of is the one that came first
            draft.unlink()


@contextmanager
def take_turns(path: Path) -> Iterator[None]:
    """Let one process at a time into the blocks that hold this file or folder, which is there; the others wait.

    A process that dies lets go. Where the system or the disk knows no such locks, nobody waits.
    """
    if not _HAS_LOCKS:
        yield
        return
    import fcntl

    file = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # a disk of another machine may refuse
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _bring_to_disk(file: Path) -> None:
    with file.open("rb+") as content:
        os.fsync(content.fileno())


def _remove_old_drafts(path: Path) -> None:
    for draft in path.parent.glob(f".{escape(path.name)}.*.part"):
        with suppress(OSError):  # another run has ended meanwhile, or it is not ours to remove
            if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
                draft.unlink()
