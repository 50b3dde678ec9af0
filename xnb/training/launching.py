"""Training with several processes of this machine, which go on when one dies: from Python and from a notebook."""

import builtins
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import pandas as pd
import torch
from tqdm.auto import tqdm

from xnb import storage
from xnb.check import is_refusal, raise_again, require
from xnb.training.data_parallel import make_training
from xnb.training.loop import tabulate_epochs

# Unless it is 1, torch gives restarted workers the addresses of those that died: they fail again, or wait for ever.
NO_SHARED_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"
_CALL = "import pkgutil, sys; pkgutil.resolve_name(sys.argv.pop(1))()"  # of the function that is named next
_INTERVAL = 0.1  # seconds between two looks at the workers
_PATIENCE = 60  # seconds for the workers to end of their own accord


def fit_elastic(
    study: str, folder: Path, *, workers: int = 2, max_restarts: int = 3, progress: bool = True
) -> pd.DataFrame:
    """Train a study with several processes of this machine, and return the table of `fit`: one row an epoch.

    When a process dies, all begin again with the last epoch in `folder`, whose files are those of `fit`; so does a
    call after this one was killed. On a CPU the end is bit-identical to that of an undisturbed run with as many
    workers; another number changes rounding and dropout. `fit` takes all cores of one machine already: this is for
    many GPUs, and for trying out what `xnb.training.elastic` shall train on many hosts. Nothing listens beyond this
    machine. The network that was trained:

        storage.load_weights(model, folder / "best.safetensors")

    Args:
        study: `"study.py:function"` or `"package.module:function"`; the function takes nothing and returns a
            `Training`. Each process calls it, so it cannot stand in a notebook.
        folder: where `last.safetensors` and `best.safetensors` are written and looked for, and `workers.log`, what
            the workers print.
        workers: processes; on CUDA each has a GPU of its own.
        max_restarts: how often all may be started anew.
        progress: whether there is a bar.

    Raises:
        ValueError: there is no such study, or `folder` holds a run with other settings; before anything is started.
        FloatingPointError: as `fit`.
        RuntimeError: the workers failed more often than `max_restarts` allows; with the message of the first.
    """
    most = torch.cuda.device_count() if torch.cuda.is_available() else workers
    possible = max(1, min(workers, most))
    require(
        workers == possible, "fit_elastic: there must be workers, and a GPU for each", workers, f"workers={possible}"
    )
    # Made here too, so that a mistake in the study is shown where it was made, before anything is started.
    training = make_training(study)
    _, rows = training.resume(training.optimizer(training.model.parameters()), folder)
    epochs = training.epochs
    del training  # the workers have their own
    if len(rows) < epochs:
        with (
            TemporaryDirectory(prefix="xnb-elastic-", ignore_cleanup_errors=True) as scratch,
            tqdm(total=epochs, initial=len(rows), unit="epoch", leave=False, disable=not progress) as bar,
        ):
            launch = _Launch(study, folder, Path(scratch), workers, max_restarts)
            launch.run(bar)
    return tabulate_epochs(_read_epochs(folder))


def _read_epochs(folder: Path) -> list[dict]:
    path = folder / "last.safetensors"
    return storage.read_tensors(path)[1]["epochs"] if path.exists() else []


@dataclass(frozen=True)
class _Launch:
    """One start of the workers; `scratch` is a folder that lives as long as it."""

    study: str
    folder: Path
    scratch: Path
    workers: int
    max_restarts: int

    def run(self, bar: tqdm) -> None:
        """Start the workers, show in the bar how far they are, and raise what they failed of."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "workers.log"
        with log.open("wb") as output:
            agent = subprocess.Popen(
                [sys.executable, "-c", _CALL, "xnb.training.elastic.run_agent", *self._list_arguments()],
                env=os.environ | self._make_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # An interrupt is for this process, which ends that one.
                start_new_session=True,
            )
        try:
            self._watch(agent, bar)
        finally:
            _end_process(agent)
        rule = "fit_elastic: the workers must come to the end within max_restarts restarts"
        hint = f"from pathlib import Path; print(Path({str(log)!r}).read_text())"
        require(agent.returncode == 0, rule, self._find_cause(log), hint, error=RuntimeError)

    def _list_arguments(self) -> list[str]:
        """Return the arguments of torchrun, and behind them those of a worker."""
        return [
            f"--nproc-per-node={self.workers}",
            f"--max-restarts={self.max_restarts}",
            f"--monitor-interval={_INTERVAL}",
            # Workers find each other by files: ports of a store would listen on every network of this machine.
            "--rdzv-backend=c10d",
            "--rdzv-conf=store_type=file",
            f"--rdzv-endpoint={self.scratch / 'rendezvous'}",
            "--local-addr=127.0.0.1",
            f"--log-dir={self.scratch / 'logs'}",
            # Each worker sees its own GPU alone, and takes no memory on the others.
            *(["--virtual-local-rank"] if torch.cuda.is_available() else []),
            "-m",
            "xnb.training.elastic",
            self.study,
            f"--folder={self.folder}",
            f"--store={self.scratch}",
        ]

    def _make_environment(self) -> dict[str, str]:
        """Return the variables that the workers have beside those of this process."""
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        threads = max(1, torch.get_num_threads() // self.workers)
        return {
            NO_SHARED_STORE: "1",
            "TORCHELASTIC_ERROR_FILE": str(self.scratch / "cause.json"),
            "GLOO_SOCKET_IFNAME": loopback,
            "NCCL_SOCKET_IFNAME": loopback,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
            # A study is found by its module's name if this process would find it.
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }

    def _watch(self, agent: subprocess.Popen, bar: tqdm) -> None:
        """Wait until all has come to its end, or to an error that would come again."""
        path = self.folder / "last.safetensors"
        shown = None
        while agent.poll() is None:
            sleep(_INTERVAL)
            written = path.stat().st_mtime_ns if path.exists() else None
            if written != shown:
                shown = written
                _show_epochs(bar, _read_epochs(self.folder))
            for file in self.scratch.glob("logs/**/error.json"):
                _raise_refusal(_read_message(file))

    def _find_cause(self, log: Path) -> str:
        """Return the message of the worker that failed first in the last attempt, or which signal ended it."""
        message = _read_message(self.scratch / "cause.json")
        signals = re.findall(r"Signal \d+ \(\w+\) received by PID \d+", log.read_text(errors="replace"))
        return message or next(reversed(signals), "no word of a worker")


def _show_epochs(bar: tqdm, rows: list[dict]) -> None:
    bar.update(len(rows) - bar.n)
    if rows:
        loss, accuracy = rows[-1]["train_loss"], rows[-1]["valid_accuracy"]
        bar.set_postfix_str(f"loss {loss:.3f}, accuracy {accuracy:.3f}")


def _read_message(file: Path) -> str:
    """Return the error of a worker as `Class: message`, or nothing of a file that is not there or not yet whole."""
    try:
        return json.loads(file.read_text())["message"]["message"]
    except (FileNotFoundError, json.JSONDecodeError):
        return ""


def _raise_refusal(message: str) -> None:
    """Raise the refusal that a worker met as its own: no restart would end otherwise."""
    kind, _, text = message.partition(": ")
    error = getattr(builtins, kind, ValueError)(text)
    if is_refusal(error):
        raise_again(error)


def _end_process(process: subprocess.Popen) -> None:
    """Ask a process to end, and see to it that it has."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
