"""Real workers: each task has its result once, whoever dies, and what fails is named when all else is done."""

import os
import signal

import cloudpickle
import dask
import pytest
import torch
from dask_workers import threads_of_worker, worker_setting

from xnb.scale.dask_tasks import Task, run_on_dask, start_workers

pytestmark = pytest.mark.timeout(180)  # what waits for a worker that is gone says where


@pytest.fixture(scope="module")
def client():
    with start_workers(2) as client:
        yield client


def test_every_task_has_one_result(client):
    tasks = [Task((i,), (i,)) for i in range(20)]
    assert sorted(run_on_dask(client, lambda shared, i: shared + i, 100, tasks)) == list(range(100, 120))
    assert list(run_on_dask(client, lambda shared, i: i, None, [])) == []


def test_few_tasks_are_made_ahead(client):
    """Inputs are read when a worker is about to be free: of 40 tasks, four for two workers and those that are done."""
    made = []

    def tasks():
        for i in range(40):
            made.append(i)
            yield Task((i,), (i,))

    for done, _ in enumerate(run_on_dask(client, lambda shared, i: i, None, tasks()), 1):
        assert len(made) <= done + 4


def test_an_error_is_raised_when_all_other_tasks_are_done(client):
    def divide(shared, i):
        return 1 / (i - 2)

    done = []
    with pytest.raises(RuntimeError, match=r"1 tasks ended with an error.*\n.*division by zero.*\n  try: ") as error:
        done.extend(run_on_dask(client, divide, None, [Task((i,), (i,)) for i in range(5)]))
    assert "ZeroDivisionError" in str(error.value) or "division" in str(error.value)


def test_a_killed_worker_loses_nothing(client, tmp_path):
    """The second task kills its worker the first time that it runs; the shared value is there again as well."""

    def die_once(shared, i, folder):
        flag = folder / "died"
        if i == 1 and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return shared[i]

    shared = torch.arange(12).tolist()
    tasks = [Task((i,), (i, tmp_path)) for i in range(12)]
    assert sorted(run_on_dask(client, die_once, shared, tasks)) == shared
    assert (tmp_path / "died").exists()


def test_a_task_that_always_kills_is_given_up(client):
    def die(shared, i):
        if i == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    with pytest.raises(RuntimeError, match="ended with an error"):
        list(run_on_dask(client, die, None, [Task((i,), (i,)) for i in range(2)]))


def test_workers_run_one_thread_and_keep_their_memory(client):
    """Dask's own setting, 65536, hands memory back after each large tensor: torch takes more than twice as long."""
    (threads,) = run_on_dask(client, threads_of_worker, None, [Task((), ())])
    assert threads == 1
    (trim,) = run_on_dask(client, worker_setting, "MALLOC_TRIM_THRESHOLD_", [Task((), ())])
    assert int(trim) > 1e9
    # for these workers alone
    assert dask.config.get("distributed.nanny.pre-spawn-environ")["MALLOC_TRIM_THRESHOLD_"] == 65536


def test_nothing_listens_beyond_this_machine(client):
    addresses = [client.scheduler.address, client.dashboard_link, *client.scheduler_info()["workers"]]
    assert all("127.0.0.1" in address for address in addresses)


def test_shared_values_of_some_size_bring_no_warning(client):
    big = torch.zeros(4_000_000)
    assert list(run_on_dask(client, lambda shared, i: len(shared), big, [Task((), (0,))])) == [4_000_000]
    assert len(cloudpickle.dumps(big)) > 10_000_000
