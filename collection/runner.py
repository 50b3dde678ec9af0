"""Run the notebooks and keep their figures: `make figures` and `make refresh`.

What an earlier good run left is replaced only by a whole new one, and what is up to date is not run again.
"""

import argparse
import hashlib
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Literal

import nbformat
from nbformat import NotebookNode
from nbformat.reader import NotJSONError
from tqdm import tqdm

from collection.kernel import FAILURES, executing, inject, progress, reason
from xnb import folders
from xnb.check import require
from xnb.plot.figures import ID
from xnb.storage import sha256

Profile = Literal["quick", "paper"]
TIMEOUT = {"quick": 600, "paper": 12 * 3600}  # seconds for one cell: quick cells take a few, paper cells train
# Sums in one order, and no progress bar where a machine is slow: the same bytes every run.
REPEATABLE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "XNB_PATIENCE": "inf"}


@dataclass(frozen=True)
class Tree:
    """The folders of the collection."""

    root: Path = folders.ROOT
    figures: Path = field(default_factory=folders.figure_folder)


@dataclass(frozen=True)
class Job:
    """One notebook with its parameters, and where its results go."""

    path: Path
    source: NotebookNode
    given: dict[str, str]
    profile: Profile
    build: Path  # executed copies, stamps, figures on their way
    figures: Path
    key: str  # hash of all that decides the results

    def file(self, kind: Literal["ipynb", "failed.ipynb", "stamp.json"]) -> Path:
        return self.build / f"{self.path.stem}.{kind}"

    def figure(self, name: str) -> Path:
        """Where a figure's file goes: into figures/, unless it shows other data than the stored one.

        With a dataset given, only figures of the paper profile are kept there; the others stay in the build folder.
        """
        away = "DATASET" in self.given and not name.startswith("paper/")
        return (self.build / "figures" if away else self.figures) / name

    @property
    def staging(self) -> Path:
        return self.build / "staging" / self.path.stem


@dataclass(frozen=True)
class Result:
    """How a job ended. `files` are the files of its figures, below the figures folder, with their hashes."""

    job: Job
    state: Literal["ok", "up to date", "failed"]
    files: dict[str, str] = field(default_factory=dict)


def plan(
    tree: Tree, notebook: str | None = None, profile: Profile | None = None, dataset: str | None = None
) -> list[Job]:
    """One job for the notebook of that number, or for each.

    Raises:
        ValueError: no such notebook, or a file that is not a notebook.
    """
    given = {name: value for name, value in (("PROFILE", profile), ("DATASET", dataset)) if value is not None}
    variant = re.sub(r"[^\w.-]+", "_", "-".join(filter(None, [profile or "quick", dataset])))
    build = tree.root / "build" / variant
    shared = inputs(tree)
    jobs = []
    for path in chosen(tree.root / "notebooks", notebook):
        source = read(path)
        cells = [[cell.id, cell.source, cell.metadata.get("tags", [])] for cell in source.cells]
        jobs.append(Job(path, source, given, profile or "quick", build, tree.figures, hashed([cells, given, shared])))
    return jobs


def chosen(folder: Path, notebook: str | None) -> list[Path]:
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    these = [path for path in found if notebook is None or path.name.startswith(f"{notebook:0>2}")]
    numbers = ", ".join(path.name[:2] for path in found)
    require(bool(these), "runner: no notebook of that number", notebook, f"one of {numbers or 'no notebooks yet'}")
    return these


def inputs(tree: Tree) -> str:
    """Hash of what every notebook depends on: the package, the data that ships, and the libraries that compute."""
    shipped = [folder for folder in (tree.root / "data").glob("*") if folder.name != "cache"]
    data = [path for top in shipped for path in (top, *top.rglob("*")) if path.is_file()]
    files = sorted([*tree.root.glob("xnb/**/*.py"), *data])
    hashes = [(path.relative_to(tree.root).as_posix(), sha256(path)) for path in files]
    return hashed([hashes, [version(name) for name in ("torch", "torchvision", "numpy", "matplotlib")]])


def hashed(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except NotJSONError:
        require(False, "runner: the file must be a notebook", path.name, f"git checkout {path.parent.name}/{path.name}")


def write(notebook: NotebookNode, path: Path) -> None:
    with folders.replace_file(path) as part:
        nbformat.write(notebook, part)


def standing(job: Job) -> dict[str, str] | None:
    """Files of an earlier run that is still up to date and untouched, else None."""
    if not (job.file("stamp.json").exists() and job.file("ipynb").exists()):
        return None
    stamp = json.loads(job.file("stamp.json").read_text())
    files = {name: job.figure(name) for name in stamp["files"]}
    same = all(path.exists() and sha256(path) == stamp["files"][name] for name, path in files.items())
    return stamp["files"] if same and stamp["key"] == job.key else None


def results(jobs: Iterable[Job], *, force: bool = False) -> Iterator[Result]:
    """Do what is missing, or everything if `force`, below one progress bar."""
    earlier = [(job, None if force else standing(job)) for job in jobs]
    total = sum(len(code_cells(job)) for job, files in earlier if files is None)
    with progress(total) as bar:
        for job, files in earlier:
            yield run(job, bar) if files is None else Result(job, "up to date", files)


def code_cells(job: Job) -> list[NotebookNode]:
    return [cell for cell in job.source.cells if cell.cell_type == "code"]


def run(job: Job, bar: tqdm) -> Result:
    """Execute one notebook; only if it succeeds as a whole, its figures take the place of the earlier ones."""
    start, notebook, cell = perf_counter(), deepcopy(job.source), NotebookNode(id="none, as the kernel did not start")
    inject(notebook, job.given)
    try:
        for cell in executing(notebook, job.path.parent, environment=prepared(job), timeout=TIMEOUT[job.profile]):
            bar.update()
            bar.set_description_str(f"{job.path.stem} {cell.id}")
    except FAILURES as error:
        write(notebook, job.file("failed.ipynb"))
        where = f"{job.path.stem}, cell {cell.id}"
        bar.write(f"\nFailed: {where}\n{reason(error, cell)}\n  see {job.file('failed.ipynb')}\n", file=sys.stderr)
        return Result(job, "failed")
    bar.write(f"{job.path.stem}: {perf_counter() - start:.0f} s", file=sys.stderr)
    return Result(job, "ok", publish(job, notebook))


def prepared(job: Job) -> dict[str, str]:
    """The kernel's own variables: an empty folder for its figures, and one thread where digits are compared."""
    shutil.rmtree(job.staging, ignore_errors=True)
    job.staging.mkdir(parents=True)
    return {"XNB_FIGURES": str(job.staging.resolve())} | (REPEATABLE if job.profile == "quick" else {})


def publish(job: Job, notebook: NotebookNode) -> dict[str, str]:
    """Put the results of a good run in place. The stamp comes last, so that a run killed here is done again."""
    job.file("stamp.json").unlink(missing_ok=True)
    files = {path.relative_to(job.staging).as_posix(): path for path in sorted(job.staging.rglob("*.*"))}
    for name, path in files.items():
        with folders.replace_file(job.figure(name)) as part:
            shutil.copyfile(path, part)
    write(notebook, job.file("ipynb"))
    hashes = {name: sha256(path) for name, path in files.items()}
    with folders.replace_file(job.file("stamp.json")) as part:
        part.write_text(json.dumps({"key": job.key, "files": hashes}, indent=1))
    job.file("failed.ipynb").unlink(missing_ok=True)
    shutil.rmtree(job.staging)
    return hashes


def rows(result: Result) -> list[tuple[str, str, str, str]]:
    """The job's lines of the table. Every `fig-NN-n` cell promises the figure of that name."""
    files = {Path(name).stem: os.path.relpath(result.job.figure(name)) for name in result.files if ".png" in name}
    promised = {cell.id for cell in code_cells(result.job) if ID.fullmatch(cell.id)}
    name, lacking = result.job.path.stem, "failed" if result.state == "failed" else "missing"
    names = sorted(promised | files.keys())
    lines = [(figure, name, files.get(figure, "-"), result.state if figure in files else lacking) for figure in names]
    return lines or [("-", name, "-", result.state)]


def report(done: Sequence[Result]) -> int:
    """Print the table figure, notebook, file, state; 0 if all figures stand, else 1."""
    lines = [line for result in done for line in rows(result)]
    table = [("figure", "notebook", "file", "state"), *lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        sys.stdout.write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() + "\n")
    sys.stdout.write(f"\nexecuted notebooks: {os.path.relpath(done[0].job.build)}/\n")
    return int(any(line[-1] in ("failed", "missing") for line in lines))


def figures(jobs: Iterable[Job], *, force: bool = False) -> int:
    """Make the figures that are missing or out of date; the exit code says whether all of them stand."""
    return report(list(results(jobs, force=force)))


def refresh(jobs: Iterable[Job]) -> int:
    """Run the notebooks and store them with their outputs; one that fails is left as it was."""
    done = []
    for result in results(jobs, force=True):
        if result.state == "ok":
            with folders.replace_file(result.job.path) as part:
                shutil.copyfile(result.job.file("ipynb"), part)
        done.append(result)
    return report(done)


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m collection.runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make, store = commands.add_parser("figures"), commands.add_parser("refresh")
    for command in (make, store):
        command.add_argument("--notebook", help="number of one notebook, e.g. 02")
    make.add_argument("--profile", choices=["quick", "paper"])
    make.add_argument("--dataset")
    make.add_argument("--force", action="store_true", help="also what is up to date")
    store.set_defaults(profile=None, dataset=None)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, tree: Tree | None = None) -> int | str:
    """The command line: 0 or 1 for the shell, 130 if interrupted, or a refusal to print."""
    asked = options(arguments)
    try:
        jobs = plan(tree or Tree(), asked.notebook, asked.profile, asked.dataset)
    except ValueError as refusal:
        return str(refusal)
    try:
        return refresh(jobs) if asked.command == "refresh" else figures(jobs, force=asked.force)
    except KeyboardInterrupt:
        logging.getLogger("asyncio").disabled = True  # what nbclient was waiting for is gone, and would complain
        sys.stderr.write(f"\nStopped. What is finished is kept: `make {asked.command}` goes on from there.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
