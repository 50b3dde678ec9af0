"""Stamps of the stored figures of long runs: of which code, package and data each is.

A long run takes hours, so its figures are not made anew with each change, and nothing in them shows that they are old.
`make refresh PROFILE=paper` writes a stamp of each figure that it stores into figures/paper/manifest.json;
`make stale` prints which figures are of the present code.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypedDict

from collection.code_hashes import hash_notebook, hash_package, hash_text
from collection.jobs import Job, Tree, expected_seconds, read_notebook
from collection.kernel import assigned_names
from xnb.folders import cache_folder, replace_file, take_turns

_SAMPLE = 100  # files whose bytes are hashed, of a folder that may have 60,000


class FigureStamp(TypedDict):
    """Of what a stored figure is made; None is not known, as of figures that were stored before stamps were."""

    notebook: str
    code: str  # hash of the notebook's code cells
    package: str  # hash of the package's programs
    data: str
    data_hash: str | None  # None also where the notebook makes its data
    torch: str | None
    seconds: float | None  # of the whole notebook
    date: str
    processor: str | None
    source: str  # "run", or the commit from which the stamp was read off


Manifest = dict[str, FigureStamp]


class FigureState(NamedTuple):
    """A line of the table: whether a stored figure is of the present code."""

    figure: str
    notebook: str
    code: str  # same, changed or "no stamp"
    package: str
    data: str
    date: str
    seconds: str


def manifest_path(tree: Tree) -> Path:
    return tree.figures / "paper" / "manifest.json"


def read_manifest(tree: Tree) -> Manifest:
    """By the id of each figure its stamp; nothing where no long run is stored."""
    path = manifest_path(tree)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_stamps(tree: Tree, stamps: Mapping[str, FigureStamp]) -> None:
    """Put these stamps in the place of the figures' earlier ones; stamps of figures that are gone go too."""
    folder = manifest_path(tree).parent
    stored = {path.stem for path in folder.glob("fig-*.json")}
    folder.mkdir(parents=True, exist_ok=True)
    with take_turns(folder):  # another process may be storing other figures
        merged = read_manifest(tree) | dict(stamps)
        present = {figure: merged[figure] for figure in sorted(merged) if figure in stored}
        with replace_file(manifest_path(tree)) as draft:
            draft.write_text(json.dumps(present, indent=1) + "\n", encoding="utf-8")


def make_stamp(job: Job, package: str) -> FigureStamp:
    """The stamp of the figures of a good run.

    Args:
        package: hash of the package with which it ran.
    """
    dataset = _read_dataset(job)
    ended = job.file("stamp.json").stat().st_mtime
    return FigureStamp(
        notebook=job.name,
        code=hash_notebook(job.source),
        package=package,
        data=Path(dataset).name if dataset else "its own",  # the name of a folder, not its place on this machine
        data_hash=hash_folder(_data_folder(job, dataset)) if dataset else None,
        torch=version("torch"),
        seconds=expected_seconds(job),
        date=datetime.fromtimestamp(ended, UTC).date().isoformat(),
        processor=describe_processor(),
        source="run",
    )


def _read_dataset(job: Job) -> str | None:
    """The data set or folder that the run took, if the notebook can take one."""
    tagged = [cell.source for cell in job.code_cells() if "parameters" in cell.metadata.get("tags", [])]
    names = assigned_names("\n".join(tagged))
    return job.parameters.get("DATASET") if "DATASET" in names else None


def _data_folder(job: Job, dataset: str) -> Path:
    """Where the data lie: CIFAR-10 as it was brought into the cache, or a folder, seen from the notebook."""
    return cache_folder() / "CIFAR10" if dataset == "cifar10" else job.path.parent / dataset


def hash_folder(folder: Path) -> str | None:
    """Hash of the files' names and sizes, and of the bytes of every so many; None where the folder is not there.

    CIFAR-10 lies in the cache as PNG: the same pictures, written by another version of zlib, have another hash.
    """
    if not folder.is_dir():
        return None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in files]
    step = 1 + len(files) // _SAMPLE
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files[::step]]
    return hash_text(json.dumps([listed, contents]))


def describe_processor() -> str:
    """Its name, and how many cores a run of this process may use."""
    # It brings torch, which nothing else here needs.
    from xnb.training.machine import name_processor

    threads = os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))
    return f"{name_processor()}, threads: {threads}"


def list_states(tree: Tree, package: str | None = None) -> list[FigureState]:
    """The state of each stored figure of a long run.

    Args:
        package: hash of the present package; None leaves out that comparison, which takes seconds.
    """
    manifest = read_manifest(tree)
    present = {path.stem: read_notebook(path) for path in sorted(tree.notebooks.glob("[0-9][0-9]_*.ipynb"))}
    # by figure the notebook that draws it now, with the hash of its code
    drawn: dict[str, tuple[str, str]] = {}
    for name, notebook in present.items():
        code = hash_notebook(notebook)
        drawn |= {cell.id: (name, code) for cell in notebook.cells if cell.id.startswith("fig-")}
    states = []
    for path in sorted((tree.figures / "paper").glob("fig-*.json")):
        name, code = drawn.get(path.stem, ("-", ""))
        states.append(_compare(path.stem, manifest.get(path.stem), name, code, package))
    return states


def _compare(figure: str, stamp: FigureStamp | None, name: str, code: str, package: str | None) -> FigureState:
    if stamp is None:
        return FigureState(figure, name, "no stamp", "no stamp", "-", "-", "-")
    # a figure that moved to another notebook is made by other code; a notebook's words may change its file's name
    is_same = stamp["notebook"][:2] == name[:2] and stamp["code"] == code
    of_code = "same" if is_same else "changed"
    of_package = "-" if package is None else "same" if stamp["package"] == package else "changed"
    seconds = "-" if stamp["seconds"] is None else f"{stamp['seconds']:.0f}"
    return FigureState(figure, name, of_code, of_package, stamp["data"], stamp["date"], seconds)


def list_orphans(tree: Tree) -> list[str]:
    """Figures that have a stamp and are not stored."""
    return [name for name in read_manifest(tree) if not (tree.figures / "paper" / f"{name}.json").exists()]


def format_table(states: Sequence[FigureState]) -> str:
    """The table, and below it what to run for each notebook whose figures are of other code."""
    rows = [FigureState._fields, *states]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    old = [state for state in states if state.code != "same"]
    lines.append(f"\n{len(states) - len(old)} of {len(states)} figures are of the present code of their notebook")
    numbers = sorted({state.notebook[:2] for state in old})
    lines += [f"  make refresh NOTEBOOK={number} PROFILE=paper" for number in numbers]
    return "\n".join(lines) + "\n"


def main(tree: Tree | None = None) -> int:
    """Print the table."""
    tree = tree or Tree()
    sys.stdout.write(format_table(list_states(tree, hash_package(tree.root))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
