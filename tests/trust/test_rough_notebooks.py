"""Notebooks as people treat them: run again and again, interrupted, from another folder, twice at once, on any threads.

Each run that is not interrupted has to end with the outputs and figures that are stored, compared as the gate does.
With XNB_TRUST=1 those that take less than a minute, or that XNB_NOTEBOOKS="02 07" names, in every way; otherwise one of
them in one way, another each day.
"""

import asyncio
import configparser
import json
import os
import random
import re
import time
from collections import defaultdict
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from collection.kernel import remove_traces, start_client, tidy_outputs
from xnb.plot import figures

ROOT = Path(__file__).parents[2]
SECONDS = json.loads((ROOT / "collection" / "seconds.json").read_text())
NAMES = sorted(SECONDS, key=SECONDS.get)
CHEAP = 40  # seconds: a notebook that takes no longer is tried every day
DAY = int(time.time()) // 86_400
LONGEST = 3600  # seconds for a cell: only what hangs meets it
# What nbval leaves out too: pictures, whose numbers are compared, and live widgets, whose ids are random.
LEFT_OUT = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}
# Files of the repository that a notebook names from its own folder: there its kernel has to start.
BESIDE = re.compile(r'"(\.\./|[\w/]+\.toml)')


def choose_cases():
    cheap = [number for number in NAMES if SECONDS[number] <= CHEAP]
    if "XNB_TRUST" in os.environ:
        chosen = os.environ.get("XNB_NOTEBOOKS", "").split() or cheap
        return [(number, way) for number in NAMES if number in chosen for way in RUNS]
    # the cheap ways alone: about two and a half runs at most
    return [(cheap[DAY % len(cheap)], ("interrupted", "elsewhere", "twice")[DAY % 3])]


class Collection:
    """A notebook as it is stored, and the ways to run it."""

    def __init__(self, number, place, agree):
        (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        self.stored = nbformat.read(path, as_version=4)
        self.number, self.place, self.agree = number, place, agree
        self.complaints = []

    def start(self, folder=ROOT / "notebooks", threads=1):
        """A kernel for a copy of the notebook, which starts in a folder."""
        place = self.place / "figures"
        place.mkdir(exist_ok=True)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {"XNB_FIGURES": str(place), "XNB_PATIENCE": "inf"} | dict.fromkeys(names, str(threads))
        book = deepcopy(self.stored)
        remove_traces(book)
        return start_client(book, folder, environment, LONGEST)

    async def run_all(self, client, what):
        """Run every cell, in order, and compare."""
        for index, cell in enumerate(client.nb.cells):
            if cell.cell_type == "code":
                await client.async_execute_cell(cell, index)
                tidy_outputs(cell)
        for stored, cell in zip(self.stored.cells, client.nb.cells, strict=True):
            self.compare(f"{what}, cell {cell.id}", stored, cell)
        self.compare_figures(what, self.place / "figures")

    async def run_until_interrupted(self, client, seconds):
        """Run cell by cell and press *Interrupt* after so many seconds: the cell that it met, or None."""
        interrupt = asyncio.create_task(press_interrupt(client, seconds))
        try:
            for index, cell in enumerate(client.nb.cells):
                if cell.cell_type == "code":
                    await client.async_execute_cell(cell, index)
                    if interrupt.done():
                        return None  # it came between two cells, or the cell lives with it
        except CellExecutionError as error:
            if error.ename != "KeyboardInterrupt":
                raise
            return cell.id
        finally:
            interrupt.cancel()
        return None

    def compare(self, where, stored, fresh):
        if stored.cell_type != "code" or "nbval-ignore-output" in stored.metadata.get("tags", []):
            return
        expected, found = (read_outputs(cell) for cell in (stored, fresh))
        if expected.keys() != found.keys():
            self.complaints.append(f"{where}: {sorted(found)} in place of {sorted(expected)}")
        for key in expected.keys() & found.keys():
            same = len(expected[key]) == len(found[key]) and all(map(self.agree, expected[key], found[key]))
            if not same:
                self.complaints.append(f"{where}, {key}: {found[key]} in place of {expected[key]}"[:2000])

    def compare_figures(self, what, folder):
        ids = {cell.id for cell in self.stored.cells if figures.FIGURE_ID.fullmatch(cell.id)}
        for id in sorted(ids):
            fresh, stored = (figures.read_figure(place / f"{id}.json") for place in (folder, ROOT / "figures"))
            self.complaints += [f"{what}, {id}: {line}" for line in figures.compare_figures(stored, fresh)]


async def press_interrupt(client, seconds):
    await asyncio.sleep(seconds)
    await client.km.interrupt_kernel()


def read_outputs(cell):
    """Texts of the outputs by their kind, as nbval compares them."""
    texts = defaultdict(list)
    for output in cell.outputs:
        if output.output_type == "stream":
            texts[output.name].append(output.text)
        elif output.output_type == "error":
            texts["error"].append(f"{output.ename}: {output.evalue}")
        else:
            for kind, content in output.data.items():
                if kind not in LEFT_OUT:
                    texts[kind].append(content if isinstance(content, str) else json.dumps(content))
    return {kind: [sanitize(text) for text in found] for kind, found in texts.items()}


def sanitize(text):
    rules = configparser.RawConfigParser()
    rules.read(ROOT / "tests" / "nbval_sanitize.cfg")
    for name in rules.sections():
        text = re.sub(rules[name]["regex"], rules[name]["replace"], text)
    return text


async def run_again(book):
    """*Restart and Run All*, then *Run All* twice more in the same kernel, then in another."""
    async with book.start() as client:
        for count in ("first", "second", "third"):
            await book.run_all(client, f"{count} run")
    async with book.start() as client:
        await book.run_all(client, "after a restart")


async def run_interrupted(book):
    """Two interrupts at random times, then *Run All* in the same kernel."""
    draw = random.Random(f"{book.number} {DAY}")
    async with book.start() as client:
        times = [draw.uniform(1, SECONDS[book.number]) for _ in range(2)]
        met = [await book.run_until_interrupted(client, seconds) for seconds in times]
        await book.run_all(client, f"after interrupts in {met}")
    return sum(cell is not None for cell in met)


async def run_elsewhere(book):
    """The kernel starts in an empty folder, as in an editor that was opened at another one."""
    folder = book.place / "elsewhere"
    folder.mkdir()
    async with book.start(folder) as client:
        await book.run_all(client, "elsewhere")
    assert list(folder.iterdir()) == []


async def run_twice(book):
    """Two kernels at once, which write the same figures."""

    async def run(name):
        async with book.start() as client:
            await book.run_all(client, name)

    await asyncio.gather(run("one of two"), run("the other of two"))


async def run_threads(book):
    """On one thread and on eight."""
    for threads in (1, 8):
        async with book.start(threads=threads) as client:
            await book.run_all(client, f"{threads} threads")


# How to run a notebook, and how many whole runs that is.
RUNS = {
    "again": (run_again, 4),
    "interrupted": (run_interrupted, 1),
    "elsewhere": (run_elsewhere, 1),
    "twice": (run_twice, 2),
    "threads": (run_threads, 2),
}


@pytest.mark.slow
@pytest.mark.timeout(6 * LONGEST)
@pytest.mark.parametrize(("number", "way"), choose_cases())
def test_outputs_are_those_that_are_stored(number, way, tmp_path, outputs_agree, tally):
    book = Collection(number, tmp_path, outputs_agree)
    if way == "elsewhere" and any(BESIDE.search(cell.source) for cell in book.stored.cells if cell.cell_type == "code"):
        pytest.skip("it reads files beside itself: not mended yet")
    run, count = RUNS[way]
    interrupts = asyncio.run(run(book))
    assert book.complaints == []
    tally("runs of notebooks, roughly", count)
    if interrupts:
        tally("interrupts of notebooks", interrupts)
