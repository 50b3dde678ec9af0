"""Work on the processes and machines of Dask: pure tasks, known by their content, whose results come back to one place.

A task that was lost with its worker is run again by Dask, so a task may run twice: it returns what it found and writes
nothing. Who asked writes, once for each result.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from xnb.check import refuse, require
from xnb.progress import hide_progress

if TYPE_CHECKING:
    from distributed import Client

# Of a worker with several threads: a model that is looked into serves one task at a time.
_ALONE = Lock()
_INSTALL = "pip install 'xnb[scale]'"
_ANSWER_SECONDS = 30
_AHEAD = 2  # tasks for each thread that waits: enough that none idles, and few inputs are in memory
# Dask gives its workers MALLOC_TRIM_THRESHOLD_=65536: memory of every large tensor then goes back to the system and is
# asked for again, which slows torch to less than half. These let the allocator keep it. One arena, as one thread works.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_ARENA_MAX": "1",
}


class Task(NamedTuple):
    """A piece of work.

    Attributes:
        content: all that the result is a function of, but for the shared value, as values with a plain repr.
        arguments: of the function, behind the shared value.
    """

    content: tuple
    arguments: tuple


@contextmanager
def start_workers(count: int = 2) -> Iterator["Client"]:
    """Yield a client of `count` processes on this machine, each with one thread; they end with the block.

    They share the cores that one process has to itself: on one machine they try out what shall run on many.
    Nothing listens beyond this machine.
    """
    require(count >= 1, "scale: workers must be at least 1", count, "start_workers(2)")
    _require_dask()
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set({"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}):
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        )
    with cluster, Client(cluster) as client:
        yield client


@contextmanager
def connect_scheduler(address: str) -> Iterator["Client"]:
    """Yield a client of a scheduler that runs already, `tcp://host:8786`, and wait until it has a worker.

    `dask scheduler` starts one, and `dask worker tcp://host:8786 --nthreads 1 --nworkers 8` joins it on each machine,
    where `xnb` and the modules of the study must be installed. They trust whoever reaches them: keep them in a closed
    network.

    Raises:
        ValueError: no scheduler answers there, or it has no worker.
    """
    _require_dask()
    from distributed import Client

    hint = f"dask scheduler  # there, and on each machine: dask worker {address} --nthreads 1"
    try:
        client = Client(address, timeout=_ANSWER_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        refuse("scale: a scheduler must answer at this address", f"{address}: {error}", hint)
    with client:
        try:
            client.wait_for_workers(1, timeout=_ANSWER_SECONDS)
        except TimeoutError:
            refuse("scale: the scheduler must have a worker", address, hint)
        yield client


def _require_dask() -> None:
    found = find_spec("distributed") is not None
    require(found, "scale: Dask must be installed", "no module named distributed", _INSTALL, error=ImportError)


def run_on_dask(client: Any, function: Callable, shared: object, tasks: Iterable[Task]) -> Iterator[Any]:
    """Yield `function(shared, *arguments)` of each task, in the order in which they are done.

    Few tasks are made at a time, so that inputs are read when a worker is about to be free.

    Args:
        shared: sent to each worker once, such as models.

    Raises:
        RuntimeError: a task ended with an error, or took its worker with it more often than Dask allows; all other
            tasks are done first.
    """
    import cloudpickle
    import dask
    from distributed import as_completed

    packed = cloudpickle.dumps((function, shared))
    name = hashlib.sha256(packed).hexdigest()
    # A task of its own, which Dask runs again where the worker that holds it is lost; scattered data would be gone.
    # A network may be large, and goes to each worker once: nothing to be warned of.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        unpacked = client.submit(pickle.loads, packed, key=f"xnb-shared-{name}")
    waiting = iter(tasks)

    def submit(task: Task) -> Any:
        """Name the task by its content, so that the same one is run once."""
        content = hashlib.sha256(repr((name, task.content)).encode()).hexdigest()
        return client.submit(_run_task, unpacked, task.arguments, key=f"xnb-{content}")

    running = as_completed([])
    failed = []
    _submit_ahead(client, running, waiting, submit)
    for future in running:
        # before the result is handed on, so that no worker waits for whoever takes it
        _submit_ahead(client, running, waiting, submit)
        if future.status == "finished":
            yield future.result()
        else:
            # there is no exception where a task was cancelled with the scheduler
            failed.append(f"{future.status}: {future.exception()}")
        future.release()
    require(
        not failed,
        f"scale: {len(failed)} tasks ended with an error; all others are done",
        failed[:1],
        "the same call again, which does what is left",
        error=RuntimeError,
    )


def _submit_ahead(client: Any, running: Any, waiting: Iterator[Task], submit: Callable[[Task], Any]) -> None:
    """Submit as many tasks as keep all workers busy, those that have joined meanwhile as well."""
    threads = sum(client.nthreads().values())
    wanted = _AHEAD * max(threads, 1) - running.count()
    for task in islice(waiting, max(wanted, 0)):
        running.add(submit(task))


def _run_task(unpacked: tuple[Callable, object], arguments: tuple) -> Any:
    """Run a task in a worker, on one thread of torch, so that numbers do not depend on how a worker was started."""
    function, shared = unpacked
    with _ALONE, hide_progress():
        torch.set_num_threads(1)
        return function(shared, *arguments)
