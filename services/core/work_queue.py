"""One thread that runs the model, and a queue before it that has an end: who comes too late is told when to return."""

import logging
import math
import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from services.core.refusals import refuse

Answer = TypeVar("Answer")
_FIRST_GUESS = 2.0  # seconds of a job, before one was measured
_SHARE_OF_NEWEST = 0.2  # in the running mean of seconds
_LOG = logging.getLogger("services")


class OutOfTime(BaseException):
    """The running job is not waited for any more."""


@dataclass
class _Job:
    run: Callable[[], Any]
    deadline: float
    future: Future = field(default_factory=Future)


class Worker:
    """Runs jobs one after another in a thread of its own.

    Torch uses all cores for one job; two at a time would only share them, and need twice the memory.
    """

    def __init__(self, most_waiting: int, timeout: float) -> None:
        self.timeout = timeout
        self._jobs: queue.Queue[_Job] = queue.Queue(most_waiting)
        self._running: _Job | None = None
        self._seconds = _FIRST_GUESS
        self._closed = threading.Event()
        threading.Thread(target=self._work, name="model", daemon=True).start()

    def ask(self, job: Callable[[], Answer]) -> Answer:
        """Return what the job returns, when its turn has come.

        Raises:
            Refusal: 503, too many wait already or the service is stopping; 504, it took too long.
        """
        if self._closed.is_set():
            refuse(
                503,
                "the service is stopping",
                "a new request",
                "another process, or again in a moment",
                Retry_After="5",
            )
        entry = _Job(job, monotonic() + self.timeout)
        try:
            self._jobs.put_nowait(entry)
        except queue.Full:
            self._refuse_full()
        try:
            return entry.future.result(self.timeout)
        except (NotInTime, CancelledError, OutOfTime):
            entry.future.cancel()
            took = f"more than {self.timeout:g} seconds"
            refuse(504, "an answer must not take longer", took, "a cheaper method, or fewer steps or samples")

    def begin(self, job: Callable[[], object]) -> None:
        """Run a job that nobody waits for, before any other."""
        self._jobs.put_nowait(_Job(job, math.inf))

    def check_time(self) -> None:
        """End the running job if nobody waits for it any more; the model calls this before each pass."""
        job = self._running
        if job is not None and threading.current_thread().name == "model" and monotonic() > job.deadline:
            raise OutOfTime

    def close(self) -> None:
        """Take no new jobs; those that wait are still done."""
        self._closed.set()

    def is_closed(self) -> bool:
        """Whether no new jobs are taken."""
        return self._closed.is_set()

    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._running is None and self._jobs.empty()

    def _refuse_full(self) -> None:
        waiting = self._jobs.qsize()
        seconds = max(1, math.ceil(self._seconds * (waiting + 1)))
        later = f"again in {seconds} seconds"
        refuse(503, "too many requests wait already", f"{waiting} waiting", later, Retry_After=str(seconds))

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job.future.set_running_or_notify_cancel():
                self._running = job
                self._run(job)
                self._running = None

    def _run(self, job: _Job) -> None:
        start = monotonic()
        try:
            job.future.set_result(job.run())
        except BaseException as error:  # the thread outlives every job
            job.future.set_exception(error)
        seconds = monotonic() - start
        self._seconds += _SHARE_OF_NEWEST * (seconds - self._seconds)
