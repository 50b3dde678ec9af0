"""What a run says while it goes on: which cells run, what remains, and about how long that takes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from nbformat import NotebookNode
from tqdm import tqdm

from collection.jobs import Job, expected_seconds

_LAYOUT = "|{bar:20}| {n_fmt}/{total_fmt} cells, {elapsed_s:.0f} s{desc}"


class Board:
    """One bar on stderr over all notebooks that run side by side."""

    def __init__(self, jobs: Sequence[Job], kernels: int) -> None:
        self.kernels = kernels
        self.expected = {job.name: expected_seconds(job) for job in jobs}
        self.waiting = [job.name for job in jobs]
        self.started: dict[str, float] = {}
        self.cells: dict[str, str] = {}
        # how long finished notebooks took, beside how long they were expected to take
        self.taken = 0.0
        self.foreseen = 0.0
        total = sum(len(job.code_cells()) for job in jobs)
        self.bar = tqdm(total=total, bar_format=_LAYOUT, leave=False, disable=not jobs, file=sys.stderr)

    def start(self, job: Job) -> None:
        self.waiting.remove(job.name)
        self.started[job.name] = monotonic()

    def enter_cell(self, job: Job, cell: NotebookNode) -> None:
        self.cells[job.name] = cell.id
        self.bar.update()
        self.show()

    def finish(self, job: Job, figures: int) -> float:
        """Say that the notebook is done and what remains; return the seconds that it took."""
        seconds = self._leave(job)
        # a notebook of unknown length says nothing about this machine's pace
        self.taken += seconds
        self.foreseen += self.expected[job.name] or seconds
        folder = os.path.relpath(job.figure("any").parent)
        line = f"{job.name}: {seconds:.0f} s, {figures} figures in {folder}/"
        remaining = len(self.waiting) + len(self.started)
        if remaining:
            plural = "s" if remaining > 1 else ""
            line += f"; {remaining} notebook{plural} to go{self.estimate()}"
        self.say(line)
        return seconds

    def fail(self, job: Job, message: str) -> None:
        self._leave(job)
        self.say(f"\n{message}\n")

    def _leave(self, job: Job) -> float:
        self.cells.pop(job.name, None)
        return monotonic() - self.started.pop(job.name)

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        self.bar.write(line, file=sys.stderr)

    def show(self) -> None:
        running = ", ".join(f"{name} {cell}" for name, cell in self.cells.items())
        self.bar.set_description_str(f"{self.estimate()}  {running}")

    def estimate(self) -> str:
        """About how long the rest takes, as words to append; empty where a notebook's length is not known."""
        pace = self.taken / self.foreseen if self.foreseen else 1.0
        left = []
        for name in [*self.started, *self.waiting]:
            expected = self.expected[name]
            if expected is None:
                return ""
            elapsed = monotonic() - self.started.get(name, monotonic())
            left.append(max(pace * expected - elapsed, 0.0))
        # no notebook is divided among kernels
        seconds = max(sum(left) / self.kernels, *left, 0.0)
        return f", about {seconds / 60:.0f} min" if seconds >= 90 else f", about {seconds:.0f} s"


@asynccontextmanager
async def show_progress(jobs: Sequence[Job], kernels: int) -> AsyncIterator[Board]:
    """A board whose clock goes on, on a terminal, while a cell takes long."""
    board = Board(jobs, kernels)
    clock = asyncio.create_task(_tick(board))
    try:
        yield board
    finally:
        clock.cancel()
        board.bar.close()


async def _tick(board: Board) -> None:
    while sys.stderr.isatty():
        await asyncio.sleep(1)
        board.show()
