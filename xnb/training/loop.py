"""Training as a generator: the loop stays in the notebook, so it needs no callbacks."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from xnb.access.draws import make_generator, mix_seed
from xnb.access.score import logits
from xnb.check import require
from xnb.data.split import Part, Split
from xnb.training.run_files import describe_run, resume_run, store_epoch
from xnb.types import Batch

Schedule = Callable[[float], float]
Objective = Callable[[nn.Module, Part], tuple[Tensor, Tensor]]  # (model, inputs) -> what is minimised, logits
Augment = Callable[[Batch, torch.Generator], Batch]  # (inputs, where its draws come from) -> inputs of the same shape


@dataclass(frozen=True)
class Epoch:
    """Means over one epoch: losses in nats, accuracies in [0, 1]; `train_*` were taken while the weights moved."""

    number: int
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    seconds: float


class Evaluation(NamedTuple):
    """Mean cross-entropy in nats, and accuracy in [0, 1]."""

    loss: float
    accuracy: float


def cosine(progress: float) -> float:
    """Factor of the learning rate after `progress` in [0, 1] of the steps, from 1 to 0 (arXiv:1608.03983)."""
    return (1 + math.cos(math.pi * progress)) / 2


def warmup_cosine(progress: float) -> float:
    """`cosine`, after a rise from 0 in the first tenth of the steps: a Transformer is lost by a fast start."""
    return min(1.0, 10 * progress) * cosine(progress)


def cross_entropy(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy in nats and the logits: the objective where none is named."""
    out = model(part.x)
    return F.cross_entropy(out, part.y), out


def train_epochs(
    model: nn.Module,
    train: Part,
    valid: Part,
    *,
    epochs: int = 10,
    optimizer: Optimizer | None = None,
    batch: int = 128,
    schedule: Schedule | None = None,
    seed: int = 0,
    start: int = 0,
    objective: Objective = cross_entropy,
    augment: Augment | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place on its own device, and yield after each epoch.

    A generator does nothing until looped over: `for epoch in train_epochs(...): print(epoch)`. At every yield the
    model is in evaluation mode, so it can be explained, saved or abandoned there. Batches are copied to the
    model's device. The global random state is left alone.

    Args:
        epochs: in all.
        optimizer: of the model's own parameters; AdamW with its defaults if omitted.
        batch: inputs a step; the last, smaller batch is used too.
        schedule: factor of the learning rate by the share of steps done, e.g. `cosine`.
        seed: order of the batches and dropout; epoch n depends on (seed, n) alone, so that a run can be resumed.
        start: epochs that are done already.
        objective: what is minimised; `xnb.training.objectives` has some that also ask how the model is right.
        augment: changes the inputs of each batch before they are learned, as `xnb.training.augmentation` does; its
            draws depend on (seed, epoch) alone. Masks and parts do not follow the change: the objective gets none.

    Raises:
        FloatingPointError: the loss is no longer finite; names the epoch and the batch.
    """
    check_training(model, train, valid, batch)
    optimizer = optimizer or AdamW(model.parameters())
    run = Run(model, train, valid, optimizer, batch, schedule, seed, epochs, objective, augment)
    yield from run.yield_epochs(start)


@dataclass(frozen=True)
class Run:
    """What all epochs of one training have in common; see `train_epochs`.

    `rank` is the number of this process, where several share each batch: all but the first draw their own dropout.
    """

    model: nn.Module
    train: Part
    valid: Part
    optimizer: Optimizer
    batch: int
    schedule: Schedule | None
    seed: int
    epochs: int
    objective: Objective
    augment: Augment | None
    rank: int = 0

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def yield_epochs(self, start: int) -> Iterator[Epoch]:
        """Train the epochs behind the first `start`, and yield after each."""
        for number in range(start + 1, self.epochs + 1):
            began = perf_counter()
            try:
                train_loss, train_accuracy = self._train_epoch(number)
            finally:
                # also after an interruption: what is left is a model that can be explained
                self.model.eval()
                self.optimizer.zero_grad()
            valid_loss, valid_accuracy = self.evaluate_valid()
            yield Epoch(number, train_loss, train_accuracy, valid_loss, valid_accuracy, perf_counter() - began)

    def _train_epoch(self, number: int) -> Evaluation:
        """Train through epoch `number`, and return what was measured on the way: means over the inputs."""
        with torch.random.fork_rng():
            # Dropout and objectives draw from the global generator: they are lent one that depends on the epoch.
            torch.manual_seed(self.seed + 1_000_003 * number)
            batches = torch.randperm(len(self.train)).split(self.batch)
            if self.rank:
                torch.manual_seed(mix_seed(f"dropout of epoch {number}, rank {self.rank}", self.seed))
            self.model.train()
            total_loss, correct = torch.zeros(2, device=self.device, dtype=torch.float64)
            # Draws of its own: the order of the batches and dropout are the same with and without it.
            draws = make_generator(f"augmentation of epoch {number}", self.seed)
            for step, rows in enumerate(batches):
                self._schedule_rate(number - 1 + step / len(batches))
                part = self._take_batch(rows, draws)
                loss, right = self.take_step(part, f"epoch {number}, batch {step + 1}")
                total_loss += loss * len(rows)
                correct += right
        count = len(self.train)
        return Evaluation(float(total_loss / count), float(correct / count))

    def take_step(self, part: Part, place: str) -> tuple[Tensor, Tensor]:
        """Move the weights along one batch; returns its mean loss, and how many of its inputs were right."""
        part = part.to(self.device)
        loss, out = self.objective(self.model, part)
        require_finite_loss(loss, place)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach(), (out.argmax(1) == part.y).sum()

    def evaluate_valid(self) -> Evaluation:
        """Return the means over the validation part."""
        return evaluate(self.model, self.valid)

    def _take_batch(self, rows: Tensor, draws: torch.Generator) -> Part:
        """Return these inputs as they are learned: augmented ones without masks, which would lie elsewhere."""
        part = self.train[rows]
        if self.augment is None:
            return part
        return Part(self.augment(part.x, draws), part.y)

    def _schedule_rate(self, epochs_done: float) -> None:
        """Multiply the learning rates that the optimizer began with by the schedule's factor."""
        if self.schedule is None:
            return
        factor = self.schedule(epochs_done / self.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def require_finite_loss(loss: Tensor, place: str) -> None:
    """Refuse to go on with a loss that is infinite or NaN; `place` names the epoch and the batch."""
    require(
        bool(loss.isfinite()),
        f"train: the loss must stay finite; it did not in {place}",
        float(loss.detach()),
        "optimizer=torch.optim.AdamW(model.parameters(), lr=1e-4)  # a lower learning rate, on a new model",
        error=FloatingPointError,
    )


def check_training(model: object, train: Part, valid: Part, batch: int) -> None:
    """Refuse what cannot be trained: `check_arguments`, no inputs, or no batch."""
    check_arguments(model, train=train, valid=valid)
    require(len(train) > 0, "train: the training part must hold inputs", train.x, "a part that is not empty")
    require(batch >= 1, "train: batch must be at least 1", batch, "batch=128")


def check_arguments(model: object, **parts: object) -> None:
    """Refuse what is no module with parameters, or no part of a data set, with the line that makes one of it."""
    trains = isinstance(model, nn.Module) and any(True for _ in model.parameters())
    rule = "train: model must be a torch.nn.Module with parameters"
    require(trains, rule, model, "model = xnb.models.Net(in_features=x[0].numel())")
    for name, part in parts.items():
        rule = f"train: {name} must be a part of a data set, inputs and their classes"
        require(isinstance(part, Part), rule, part, _suggest_part(name, part))


def _suggest_part(name: str, came: object) -> str:
    """The line that makes a part of what came: of a split, of inputs and classes, of a loader's batches."""
    match came:
        case Split():
            return f"{name} = {name}.{'train' if name == 'train' else 'test'}"
        case Tensor():
            return f"{name} = xnb.data.Part({name}, y)  # y: the class of each input"
        case DataLoader():
            return f"{name} = xnb.data.Part(*map(torch.cat, zip(*{name})))"
        case (Tensor(), Tensor()):
            return f"{name} = xnb.data.Part(*{name})"
        case _:
            return f"{name} = xnb.data.Part(x, y)  # inputs, and the class of each"


def evaluate(model: nn.Module, part: Part) -> Evaluation:
    """Return cross-entropy in nats and accuracy in [0, 1], means over all inputs and not over means of batches.

    Raises:
        ValueError: `model` is in training mode.
    """
    check_arguments(model, part=part)
    device = next(model.parameters()).device
    out = logits(model, part.x.to(device))
    y = part.y.to(device)
    accuracy = (out.argmax(1) == y).double().mean()
    return Evaluation(float(F.cross_entropy(out, y)), float(accuracy))


def fit(
    model: nn.Module,
    train: Part,
    valid: Part,
    *,
    folder: Path | None = None,
    progress: bool = True,
    epochs: int = 10,
    optimizer: Optimizer | None = None,
    **knobs: Any,
) -> pd.DataFrame:
    """Loop over `train_epochs`, with a progress bar, and return one row an epoch.

    With a `folder` the state after each epoch goes to `last.safetensors` and the weights of the epoch with the
    highest `valid_accuracy` to `best.safetensors`. Called again after it was stopped or killed, it goes on
    where the file ends; on a CPU the end is bit-identical to that of an uninterrupted run. The model ends with
    the last weights, not the best: choosing by `valid` makes that accuracy optimistic.

    Args:
        folder: where the two files are written, and looked for.
        progress: whether there is a bar.
        epochs: in all, those in `folder` included.
        optimizer: of the model's own parameters; AdamW with its defaults if omitted.
        knobs: of `train_epochs`.

    Raises:
        ValueError: `folder` holds a run with other settings.
        FloatingPointError: as `train_epochs`; the files hold the last finite epoch.
    """
    check_arguments(model, train=train, valid=valid)
    optimizer = optimizer or AdamW(model.parameters())
    settings = describe_run(epochs, len(train), optimizer, knobs)
    rows = resume_run(model, optimizer, folder, settings)
    # Epochs of the folder count as done: the bar begins behind them.
    with tqdm(total=epochs, initial=len(rows), unit="epoch", leave=False, disable=not progress) as bar:
        for epoch in train_epochs(model, train, valid, epochs=epochs, optimizer=optimizer, start=len(rows), **knobs):
            rows.append(asdict(epoch))
            bar.update()
            bar.set_postfix_str(f"loss {epoch.train_loss:.3f}, accuracy {epoch.valid_accuracy:.3f}")
            if folder is not None:
                store_epoch(model, optimizer, folder, settings, rows)
    return tabulate_epochs(rows)


def tabulate_epochs(rows: list[dict]) -> pd.DataFrame:
    """Return a table with one row an epoch, also of none."""
    return pd.DataFrame(rows, columns=[field.name for field in fields(Epoch)])
