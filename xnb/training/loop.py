"""Training as a generator: the loop stays in the notebook, so it needs no callbacks."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer
from tqdm.auto import tqdm

from xnb import storage
from xnb.access.score import logits
from xnb.check import require
from xnb.data.split import Part

Schedule = Callable[[float], float]
Objective = Callable[[nn.Module, Part], tuple[Tensor, Tensor]]  # (model, inputs) -> what is minimised, logits


@dataclass(frozen=True)
class Epoch:
    """Means over one pass: losses in nats, accuracies in [0, 1]; `train_*` were taken while the weights moved."""

    number: int
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    seconds: float


def cosine(progress: float) -> float:
    """Factor of the learning rate after `progress` in [0, 1] of the steps, from 1 to 0 (arXiv:1608.03983)."""
    return (1 + math.cos(math.pi * progress)) / 2


def warmed(progress: float) -> float:
    """`cosine`, after a rise from 0 in the first tenth of the steps: a Transformer is lost by a fast start."""
    return min(1.0, 10 * progress) * cosine(progress)


def cross_entropy(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
    """The objective that is meant where none is named: be right. In nats."""
    out = model(part.x)
    return F.cross_entropy(out, part.y), out


def epochs(
    model: nn.Module,
    train: Part,
    valid: Part,
    *,
    count: int = 10,
    optimizer: Optimizer | None = None,
    batch: int = 128,
    schedule: Schedule | None = None,
    seed: int = 0,
    start: int = 0,
    objective: Objective = cross_entropy,
) -> Iterator[Epoch]:
    """Train `model` in place on its own device, yielding after each pass over `train`.

    A generator does nothing until looped over: `for epoch in epochs(...): print(epoch)`. At every yield the
    model is in evaluation mode, so it can be explained, saved or abandoned there. Batches are copied to the
    model's device. The global random state is left alone.

    Args:
        count: passes in all.
        optimizer: of the model's own parameters; AdamW with its defaults if omitted.
        batch: inputs a step; the last, smaller batch is used too.
        schedule: factor of the learning rate by the share of steps done, e.g. `cosine`.
        seed: order of the batches and dropout; pass n depends on (seed, n) alone, so that a run can be taken up.
        start: passes that are done already.
        objective: what is minimised; `xnb.training.objectives` has some that also ask how the model is right.

    Raises:
        FloatingPointError: the loss is no longer finite; names the pass and the batch.
    """
    require(len(train) > 0, "train: the training part must hold inputs", train.x)
    require(batch >= 1, "train: batch must be at least 1", batch, "batch=128")
    optimizer = optimizer or AdamW(model.parameters())
    for number in range(start + 1, count + 1):
        began = perf_counter()
        try:
            loss, accuracy = _one_pass(model, train, optimizer, batch, schedule, seed, number, count, objective)
        finally:
            model.eval()
            optimizer.zero_grad()
        yield Epoch(number, loss, accuracy, *evaluate(model, valid), perf_counter() - began)


def _one_pass(
    model: nn.Module,
    train: Part,
    optimizer: Optimizer,
    batch: int,
    schedule: Schedule | None,
    seed: int,
    number: int,
    count: int,
    objective: Objective,
) -> tuple[float, float]:
    device = next(model.parameters()).device
    with torch.random.fork_rng():
        torch.manual_seed(seed + 1_000_003 * number)  # dropout draws from the global generator: lend it this one
        steps = torch.randperm(len(train)).split(batch)
        model.train()
        total, right = torch.zeros(2, device=device, dtype=torch.float64)
        for done, rows in enumerate(steps):
            if schedule is not None:
                _set_rate(optimizer, schedule((number - 1 + done / len(steps)) / count))
            part = train[rows].to(device)
            loss, out = objective(model, part)
            _must_be_finite(loss, number, done + 1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
            right += (out.argmax(1) == part.y).sum()
    return float(total / len(train)), float(right / len(train))


def _must_be_finite(loss: Tensor, number: int, step: int) -> None:
    require(
        bool(loss.isfinite()),
        f"train: the loss must stay finite; it did not in epoch {number}, batch {step}",
        float(loss.detach()),
        "a lower learning rate: torch.optim.AdamW(model.parameters(), lr=1e-4)",
        error=FloatingPointError,
    )


def _set_rate(optimizer: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def evaluate(model: nn.Module, part: Part) -> tuple[float, float]:
    """Mean cross-entropy in nats and accuracy in [0, 1], each input counted once.

    Raises:
        ValueError: `model` is in training mode.
    """
    device = next(model.parameters()).device
    out, y = logits(model, part.x.to(device)), part.y.to(device)
    return float(F.cross_entropy(out, y)), float((out.argmax(1) == y).double().mean())


def fit(
    model: nn.Module,
    train: Part,
    valid: Part,
    *,
    folder: Path | None = None,
    progress: bool = True,
    count: int = 10,
    optimizer: Optimizer | None = None,
    **knobs: object,
) -> pd.DataFrame:
    """Loop over `epochs`, with a progress bar, and return one row an epoch.

    With a `folder` the state after each epoch goes to `last.safetensors` and the weights of the epoch with the
    highest `valid_accuracy` to `best.safetensors`. Called again after it was stopped or killed, it goes on
    where the file ends; on a CPU the end is bit-identical to that of an uninterrupted run. The model ends with
    the last weights, not the best: choosing by `valid` makes that accuracy optimistic.

    Raises:
        ValueError: `folder` holds a run with other settings.
        FloatingPointError: as `epochs`; the files hold the last finite epoch.
    """
    optimizer = optimizer or AdamW(model.parameters())
    settings = {"count": count, "train": len(train), "optimizer": _describe(optimizer), "knobs": _describe(knobs)}
    rows = _take_up(model, optimizer, folder, settings)
    with tqdm(total=count, initial=len(rows), unit="epoch", leave=False, disable=not progress) as bar:
        for epoch in epochs(model, train, valid, count=count, optimizer=optimizer, start=len(rows), **knobs):
            rows.append(asdict(epoch))
            bar.update()
            bar.set_postfix_str(f"loss {epoch.train_loss:.3f}, accuracy {epoch.valid_accuracy:.3f}")
            if folder is not None:
                _keep(model, optimizer, folder, settings, rows)
    return pd.DataFrame(rows, columns=[field.name for field in fields(Epoch)])


def _describe(thing: object) -> str:
    if isinstance(thing, dict):
        return ", ".join(f"{k}={getattr(v, '__name__', v)}" for k, v in sorted(thing.items()))
    return repr(thing)


def _keep(model: nn.Module, optimizer: Optimizer, folder: Path, settings: dict, rows: list[dict]) -> None:
    """Best first: a kill between the two files then repeats one epoch and writes the same best again."""
    facts = {"settings": settings, "epochs": rows}
    best = max(rows, key=lambda row: (row["valid_accuracy"], -row["number"]))  # the earliest of equals
    if best is rows[-1]:
        storage.write(folder / "best.safetensors", model.state_dict(), facts)
    state = {
        f"optimizer.{i}.{name}": value
        for i, slots in optimizer.state_dict()["state"].items()
        for name, value in slots.items()
        if value is not None
    }
    model_state = {f"model.{name}": value for name, value in model.state_dict().items()}
    storage.write(folder / "last.safetensors", model_state | state, facts)


def _take_up(model: nn.Module, optimizer: Optimizer, folder: Path | None, settings: dict) -> list[dict]:
    """Epochs done so far, with model and optimiser put back to where they ended."""
    if folder is None or not (folder / "last.safetensors").exists():
        return []
    tensors, facts = storage.read(folder / "last.safetensors")
    same = facts.get("settings") == settings
    require(same, f"fit: {folder.name} holds a run with other settings", facts.get("settings"), "another folder=")
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    model.eval()
    state = optimizer.state_dict()
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, i, name = key.split(".", 2)
            state["state"].setdefault(int(i), {})[name] = value
    optimizer.load_state_dict(state)
    return facts["epochs"]
