"""One job at a time, a queue that has an end, and nobody waits for ever.

Tests: services.core.work_queue
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.core.refusals import Refusal
from services.core.work_queue import OutOfTime, Worker

LONG = 60  # seconds that no test waits for


def status_of(worker, job):
    with pytest.raises(Refusal) as refused:
        worker.ask(job)
    return refused.value


@pytest.fixture
def held():
    """A worker with room for two that wait, whose thread is held until the event is set."""
    worker, begun, go = Worker(2, LONG), threading.Event(), threading.Event()

    def hold():
        begun.set()
        go.wait(LONG)
        return "held"

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(worker.ask, hold)
        begun.wait(LONG)
        yield worker, pool, go, first
        go.set()


def test_answers_come_back_in_order(held):
    worker, pool, go, first = held
    order = []
    later = [pool.submit(worker.ask, lambda n=n: order.append(n)) for n in range(1)]
    go.set()
    assert first.result(LONG) == "held"
    for job in later:
        job.result(LONG)
    assert order == [0]
    assert worker.ask(lambda: 3) == 3


def test_who_comes_too_late_is_told_when_to_return(held):
    worker, pool, go, _ = held
    waiting = [pool.submit(worker.ask, lambda: 1) for _ in range(2)]
    while worker._jobs.qsize() < 2:
        pass
    refusal = status_of(worker, lambda: 1)
    assert refusal.status == 503
    assert int(refusal.headers["Retry-After"]) >= 1
    go.set()
    assert [job.result(LONG) for job in waiting] == [1, 1]


def test_an_error_of_a_job_reaches_who_asked_and_the_next_job_runs():
    worker = Worker(2, LONG)
    with pytest.raises(ZeroDivisionError):
        worker.ask(lambda: 1 / 0)
    with pytest.raises(Refusal, match="a rule"):
        worker.ask(refuse)
    assert worker.ask(lambda: 2) == 2


def refuse():
    raise Refusal(422, "a rule", "that", "this")


def test_who_waits_too_long_is_told_and_the_job_that_nobody_waits_for_is_ended():
    """The model looks at the clock before each pass; the job ends there, and the next one runs."""
    worker, ended, passes = Worker(2, 0.2), threading.Event(), threading.Event()

    def run_passes():
        try:
            while True:
                worker.check_time()
                passes.wait(0.01)
        except OutOfTime:
            ended.set()
            raise

    assert status_of(worker, run_passes).status == 504
    assert ended.wait(LONG)
    assert worker.ask(lambda: 5) == 5


def test_a_job_that_was_given_up_while_it_waited_never_runs():
    worker, go, ran = Worker(2, 0.2), threading.Event(), []
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(worker.ask, lambda: go.wait(LONG)), pool.submit(worker.ask, lambda: ran.append(1))]
        assert all(isinstance(job.exception(LONG), Refusal) for job in jobs)
        go.set()
    assert worker.ask(lambda: "next") == "next"
    assert ran == []


def test_only_the_thread_of_the_model_is_ended():
    worker = Worker(2, LONG)
    worker.check_time()  # nothing runs
    assert worker.ask(lambda: worker.check_time()) is None


def test_who_asks_while_it_stops_is_refused_and_what_was_begun_is_answered(held):
    worker, pool, go, first = held
    waiting = pool.submit(worker.ask, lambda: 7)
    while worker._jobs.qsize() < 1:
        pass
    worker.close()
    assert status_of(worker, lambda: 1).status == 503
    assert not worker.is_idle()
    go.set()
    assert (first.result(LONG), waiting.result(LONG)) == ("held", 7)
    while not worker.is_idle():
        pass
