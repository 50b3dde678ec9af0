"""Tests in forks of one process, each with another change of the package: nothing is imported or collected twice.

A change is new code in functions of a module that is loaded: who imported such a function by name, wraps it or holds it
in a table runs the new code too. What a module computes when it is loaded, defaults and decorators stay as they are.
"""

import gc
import importlib
import inspect
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_PLANTED = "not planted: "


def find_source(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def read_source(module: str) -> str:
    return find_source(module).read_text()


def codes_of(code: CodeType) -> dict[str, CodeType]:
    """Code of the functions and methods of a module, or of a class, by qualified name."""
    found = {}
    for part in code.co_consts:
        if not isinstance(part, CodeType) or part.co_name.startswith("<"):
            continue
        if part.co_flags & inspect.CO_OPTIMIZED:
            found[part.co_qualname] = part
        else:  # the body of a class
            found |= codes_of(part)
    return found


def plant(module: str, program: object) -> set[str]:
    """Give functions of a module the code of another text, or syntax tree, of it; return which have it now."""
    path = importlib.import_module(module).__file__
    codes = codes_of(compile(program, path, "exec", dont_inherit=True))
    planted = set()
    for held in gc.get_objects():
        if type(held) is FunctionType and held.__code__.co_filename == path and held.__code__.co_qualname in codes:
            held.__code__ = codes[held.__code__.co_qualname]
            planted.add(held.__code__.co_qualname)
    return planted


class Outcome(NamedTuple):
    """Which test failed first, or in words how the process ended, or None; and how long it took."""

    failed: str | None
    seconds: float


Change = Callable[[], None]
Tests = Mapping[Path, Sequence[str]]


def is_meant(item: pytest.Item, file: Path, parts: Sequence[str]) -> bool:
    return item.path == file and any(part in item.nodeid for part in parts)


class Forks:
    """A plugin of pytest that runs nothing of what is collected, but hands itself to `work`, which has `run` do so."""

    def __init__(self, work: Callable[["Forks"], None]):
        self.work = work
        self.failed: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("tests cannot be collected")
        self.items = session.items
        self.work(self)
        return True

    def run(self, tests: Tests, change: Change | None = None, limit: float = 600) -> Outcome:
        """In a fork with the change, run tests of these files, one file after the other, until one fails.

        Args:
            tests: by file, parts of the names of those that are run; "" is a part of all.
            change: made before the first test.
            limit: seconds, after which the fork is ended.

        Raises:
            RuntimeError: there are no such tests, or the change fails.
        """
        items = [item for file, parts in tests.items() for item in self.items if is_meant(item, file, parts)]
        if not items:
            raise RuntimeError(f"none of these tests was collected: {tests}")
        context = multiprocessing.get_context("fork")
        answers, answer = context.Pipe(duplex=False)
        process = context.Process(target=self.run_here, args=(items, change, answer))
        start = time.monotonic()
        process.start()
        answer.close()
        try:
            failed = answers.recv() if answers.poll(limit) else "too long"
        except EOFError:
            failed = "the process ended"
        process.kill()
        process.join()
        if failed and failed.startswith(NOT_PLANTED):
            raise RuntimeError(failed)
        return Outcome(failed, time.monotonic() - start)

    def run_here(self, items: list[pytest.Item], change: Change | None, answer: Connection) -> None:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        try:
            if change:
                change()
        except Exception as error:
            answer.send(f"{NOT_PLANTED}{error!r}")
            return
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                break
        answer.send(self.failed)


def collect(files: Iterable[Path], work: Callable[[Forks], None], folder: Path) -> None:
    """Collect the tests of these files, then do the work; temporary files go to the folder.

    Raises:
        SystemExit: the tests cannot be collected, or the work failed.
    """
    os.chdir(ROOT)  # where the settings of pytest look for their files
    sys.path.insert(0, str(ROOT))
    options = ["-qq", "-s", "--tb=native", "-p", "no:cacheprovider", f"--basetemp={folder}", f"--rootdir={ROOT}"]
    code = pytest.main([*options, *map(str, files)], plugins=[Forks(work)])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(f"pytest ended with {code!r}")
