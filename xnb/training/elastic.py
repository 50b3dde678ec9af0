r"""A worker of a training over several processes and hosts: torchrun starts it, and starts all anew when one dies.

On each host, where HOST is one of them and `out` a folder that all see:

    TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun --nnodes=1:2 --nproc-per-node=2 --rdzv-backend=c10d \
        --rdzv-endpoint=HOST:29500 --rdzv-id=J --max-restarts=3 -m xnb.training.elastic study.py:make --folder out

After a restart the workers go on from the last epoch, also with fewer hosts: a lost one is noticed when its connections
close, or after ten minutes if they do not. A host with several networks names the one to use in `GLOO_SOCKET_IFNAME`,
and its own address there in `--local-addr`. Where HOST is no name that its host knows itself by, `is_host=1` in
`--rdzv-conf` says so there, and `is_host=0` elsewhere. Who reaches the ports can run code: this is for networks that
are trusted. On one machine, `xnb.training.fit_elastic` does all of it.
"""

import argparse
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from threading import Thread
from time import sleep

import torch
from torch import distributed
from torch.distributed import run
from torch.distributed.elastic.multiprocessing.errors import record

from xnb.check import require
from xnb.training.data_parallel import make_training, train_shared
from xnb.training.launching import NO_SHARED_STORE

# How long a worker waits for the others: none is slower by as much, in making the study or in a step.
_PATIENCE = timedelta(minutes=10)


@record
def run_worker(arguments: Sequence[str] | None = None) -> None:
    """Train as one of the workers that torchrun has started."""
    command = argparse.ArgumentParser(description="Train a study with all workers that torchrun starts.")
    command.add_argument("study", help="study.py:function or package.module:function; it returns a Training")
    command.add_argument("--folder", type=Path, required=True, help="where the state after each epoch is written")
    command.add_argument("--store", type=Path, help="folder by whose files workers of one host find each other")
    options = command.parse_args(arguments)
    # Both come from torchrun and its environment: without them a worker would be alone, or a restart would hang.
    missing = [name for name in ("RANK", NO_SHARED_STORE) if name not in os.environ]
    start = f"{NO_SHARED_STORE}=1 torchrun --nproc-per-node=2 -m xnb.training.elastic {options.study} --folder out"
    require(not missing, f"elastic: torchrun must start the workers, with {NO_SHARED_STORE}=1", missing, start)
    _end_with_parent()
    training = make_training(options.study)
    device = _join_group(options.store)
    train_shared(training, options.folder, device)
    distributed.destroy_process_group()


def run_agent() -> None:
    """Run torchrun with the arguments of this process, no longer than the process that has started it."""
    _end_with_parent()
    run.main()


def _end_with_parent() -> None:
    """End this process soon after its parent has: of a training that was killed, nothing goes on writing files."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            sleep(0.5)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _join_group(store: Path | None) -> torch.device:
    """Wait for all workers, and return where the model of this one is to be: a GPU of its own, or the processor."""
    device = torch.device("cpu")
    if torch.cuda.is_available():
        number = int(os.environ["LOCAL_RANK"])
        count = torch.cuda.device_count()
        require(number < count, "elastic: each worker must have a GPU", f"{count} GPUs", f"--nproc-per-node={count}")
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    world = int(os.environ["WORLD_SIZE"])
    # Each attempt has a file of its own: in that of the last, workers that are dead still say where they are.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    distributed.init_process_group(
        "gloo" if device.type == "cpu" else "nccl",
        store=distributed.FileStore(str(store / f"attempt-{attempt}"), world) if store else None,
        rank=int(os.environ["RANK"]),
        world_size=world,
        timeout=_PATIENCE,
    )
    return device


if __name__ == "__main__":
    run_worker()
