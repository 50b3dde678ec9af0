"""Run the notebooks: `make figures` draws their figures, `make refresh` stores them.

`make figures` writes below build/ alone and compares each figure with the stored one. What an earlier good run left
is replaced only by a whole new one, and what is up to date is not run again.
"""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

from nbformat import NotebookNode

from collection.code_hashes import hash_package
from collection.jobs import (
    Job,
    Tree,
    expected_seconds,
    list_left_out,
    plan_jobs,
    standing_figures,
    write_notebook,
    write_stamp,
)
from collection.kernel import FAILURES, execute_notebook, explain_failure, inject_parameters
from collection.progress import Board, show_progress
from collection.stamps import make_stamp, write_stamps
from collection.table import Result, conclude, print_table
from xnb.check import require
from xnb.folders import replace_file
from xnb.storage import sha256

# Wall-clock seconds for one cell. Quick cells take a few seconds and paper cells train for hours: however busy the
# machine is, only a cell that hangs meets these.
_TIMEOUT = {"quick": 3600, "paper": 24 * 3600}
# Sums in one order, and no progress bar where a machine is slow: the same bytes every run.
_REPEATABLE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "XNB_PATIENCE": "inf"}


def run_jobs(
    jobs: Sequence[Job], *, force: bool = False, on_success: Callable[[Result], object] = lambda result: None
) -> list[Result]:
    """Do what is missing, or everything if `force`: as many notebooks side by side as there are cores.

    Args:
        on_success: called with each result that is no failure, as soon as it is there.
    """
    results = {}
    for job in jobs:
        files = None if force else standing_figures(job)
        if files is not None:
            results[job.name] = conclude(job, "up to date", files)
            on_success(results[job.name])
    missing = [job for job in jobs if job.name not in results]
    for result in asyncio.run(_run_side_by_side(order_jobs(missing), on_success)):
        results[result.job.name] = result
    return [results[job.name] for job in jobs]  # in the order of the notebooks, whichever ended first


def order_jobs(jobs: Sequence[Job]) -> list[Job]:
    """The quickest first, so that there is soon something to see; then the longest first, so that cores end together.

    Where a job's length is not known, it counts as long.
    """
    lengths = {job.name: expected_seconds(job) or float("inf") for job in jobs}
    by_length = sorted(jobs, key=lambda job: -lengths[job.name])
    return by_length[-1:] + by_length[:-1]


def count_kernels(jobs: Sequence[Job]) -> int:
    """How many notebooks run side by side: one a core. Paper profiles use all cores each, and run in turn."""
    if any(job.profile == "paper" for job in jobs):
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), len(jobs)))


async def _run_side_by_side(jobs: Sequence[Job], on_success: Callable[[Result], object]) -> list[Result]:
    results = []
    queue = iter(jobs)
    kernels = count_kernels(jobs)

    async def work(board: Board) -> None:
        for job in queue:  # one queue for all: who is free takes the next
            result = await _run_job(job, board)
            if result.state == "ok":
                on_success(result)
            results.append(result)

    async with show_progress(jobs, kernels) as board, asyncio.TaskGroup() as group:
        for _ in range(kernels):
            group.create_task(work(board))
    return results


async def _run_job(job: Job, board: Board) -> Result:
    """Execute one notebook; only if it succeeds as a whole, its figures take the place of the earlier ones."""
    notebook = deepcopy(job.source)  # the job's own stays without outputs: its cells are counted and listed later
    inject_parameters(notebook, job.parameters)
    cell = NotebookNode(id="none, as the kernel did not start")

    def enter_cell(entered: NotebookNode) -> None:
        nonlocal cell
        cell = entered
        board.enter_cell(job, cell)

    board.start(job)
    try:
        await execute_notebook(
            notebook,
            job.path.parent,
            environment=prepare_environment(job),
            timeout=_TIMEOUT[job.profile],
            before_cell=enter_cell,
        )
    except FAILURES as error:
        write_notebook(notebook, job.file("failed.ipynb"))
        where = f"Failed: {job.name}, cell {cell.id}"
        board.fail(job, f"{where}\n{explain_failure(error, cell)}\n  see {job.file('failed.ipynb')}")
        return conclude(job, "failed", {})
    return _publish(job, notebook, board)


def prepare_environment(job: Job) -> dict[str, str]:
    """The kernel's own variables: an empty folder for its figures, and one thread where digits are compared."""
    _remove_abandoned(job.staging.parent.parent)
    shutil.rmtree(job.staging, ignore_errors=True)
    job.staging.mkdir(parents=True)
    return {"XNB_FIGURES": str(job.staging.resolve())} | (_REPEATABLE if job.profile == "quick" else {})


def _remove_abandoned(staging: Path) -> None:
    """Remove what killed runs left: a folder for each process, that process is gone."""
    for folder in staging.glob("[0-9]*"):
        try:
            os.kill(int(folder.name), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:
            pass  # it runs, as somebody else


def _publish(job: Job, notebook: NotebookNode, board: Board) -> Result:
    """Put the results of a good run in place. The stamp comes last, so that a run killed here is done again."""
    # without a stamp nobody takes half of these files for a whole run
    job.file("stamp.json").unlink(missing_ok=True)
    hashes = {}
    for path in sorted(job.staging.rglob("*.*")):
        name = path.relative_to(job.staging).as_posix()
        hashes[name] = sha256(path)
        with replace_file(job.figure(name)) as part:
            shutil.copyfile(path, part)
    write_notebook(notebook, job.file("ipynb"))
    job.file("failed.ipynb").unlink(missing_ok=True)
    shutil.rmtree(job.staging)
    with suppress(OSError):  # other notebooks of this run may be on their way
        job.staging.parent.rmdir()
    pictures = sum(name.endswith(".png") for name in hashes)
    write_stamp(job, hashes, board.finish(job, pictures))
    return conclude(job, "ok", hashes)


def make_figures(jobs: Sequence[Job], *, force: bool = False) -> int:
    """Draw the figures that are missing or out of date; the exit code says whether all of them are there."""
    return print_table(run_jobs(jobs, force=force))


def refresh(jobs: Sequence[Job], *, new: bool = False) -> int:
    """Run the notebooks and store them with their outputs and figures; one that fails is left as it was.

    Of the paper profile only figures are stored, each with a stamp of the code and the data that it is of; and a run
    that is up to date is stored as it is: it took hours.

    Args:
        new: of the paper profile, also figures that are not stored yet. Which ones are is the choice of who reads
            them, as a title that is true of few inputs need not be true of many.
    """
    paper = any(job.profile == "paper" for job in jobs)
    tree = Tree(jobs[0].stored.parent)
    # what the kernels import: the package as it is before the first of them starts
    package = hash_package(tree.root) if paper else ""
    changed: list[str] = []
    outrun: list[str] = []

    def store(result: Result) -> None:
        outrun.extend(_list_outrun(result))
        names = list(_store_figures(result, new))
        changed.extend(names)
        if paper:
            stamp = make_stamp(result.job, package)
            write_stamps(tree, {Path(name).stem: stamp for name in names})
        else:
            with replace_file(result.job.path) as part:
                shutil.copyfile(result.job.file("ipynb"), part)

    code = print_table(run_jobs(jobs, force=not paper, on_success=store))
    sys.stdout.write(f"stored in figures/: {len(changed)} files\n")
    for name in outrun:
        sys.stdout.write(f"once more: make refresh NOTEBOOK={name}, which prints figures that were stored before\n")
    return code


def _list_outrun(result: Result) -> list[str]:
    """The notebook's number, where it has printed numbers of stored figures in whose place this run puts others."""
    reading = [cell.source for cell in result.job.code_cells() if "read_figure" in cell.source]
    for name in result.files:
        stored = result.job.stored / name
        is_read = any(stored.name in source for source in reading)
        if is_read and stored.exists() and stored.read_bytes() != result.job.figure(name).read_bytes():
            return [result.job.name[:2]]
    return []


def _store_figures(result: Result, new: bool) -> Iterator[str]:
    """Copy the run's figures over the stored ones: of a paper run, those of the paper that are stored, or are new."""
    paper = result.job.profile == "paper"
    for name in result.files:
        stored = result.job.stored / name
        is_wanted = new or not paper or stored.with_suffix(".json").exists()
        if is_wanted and name.startswith("paper/") == paper:
            with replace_file(stored) as part:
                shutil.copyfile(result.job.figure(name), part)
            yield name


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m collection.runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("figures", "refresh"):
        command = commands.add_parser(name)
        command.add_argument("--notebook", help="number of one notebook, e.g. 02")
        command.add_argument("--profile", choices=["quick", "paper"])
        command.add_argument("--dataset")
    commands.choices["figures"].add_argument("--force", action="store_true", help="also what is up to date")
    of_paper = "of the paper profile also figures that are not stored yet"
    commands.choices["refresh"].add_argument("--new", action="store_true", help=of_paper)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, tree: Tree | None = None) -> int | str:
    """The command line: 0 or 1 for the shell, 130 if interrupted, or a refusal to print."""
    options = parse_arguments(arguments)
    try:
        if options.command == "refresh":
            rule = "refresh: stored outputs and figures show the notebooks' own data, but for the paper profile"
            require(options.dataset is None or options.profile == "paper", rule, options.dataset, "PROFILE=paper")
        jobs = plan_jobs(tree or Tree(), options.notebook, options.profile, options.dataset)
    except ValueError as refusal:
        return str(refusal)
    if options.profile == "paper" and options.notebook is None:
        left_out = list_left_out(tree or Tree(), options.dataset)
        sys.stderr.write("".join(f"left out: {line}\n" for line in left_out))
    try:
        if options.command == "refresh":
            return refresh(jobs, new=options.new)
        return make_figures(jobs, force=options.force)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nStopped. What is finished is kept: `make {options.command}` goes on from there.\n")
        return 130  # what a shell reports of a program that Ctrl-C ended


if __name__ == "__main__":
    sys.exit(main())
