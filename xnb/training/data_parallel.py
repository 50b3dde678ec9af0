"""Training whose batches are shared by the processes of a group: the same steps, whatever the number of processes."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from xnb.access.score import logits
from xnb.check import require
from xnb.data.split import Part
from xnb.scale.studies import load_study
from xnb.training.loop import (
    Augment,
    Evaluation,
    Objective,
    Run,
    Schedule,
    check_training,
    cross_entropy,
    require_finite_loss,
)
from xnb.training.run_files import describe_run, resume_run, store_epoch


@dataclass(frozen=True)
class Training:
    """What is trained, and how: what `fit` takes, but that the optimizer is made where the model is.

    Args:
        model: with its first weights; all processes begin with those of the first.
        train: what is learned; the same in every process, so data that are drawn need a fixed seed.
        valid: what is measured after each epoch.
        epochs: in all.
        optimizer: makes one of the model's parameters, e.g. `partial(AdamW, lr=3e-3)`.
        batch: inputs a step, of all processes together.
        schedule: factor of the learning rate by the share of steps done.
        seed: order of the batches, dropout and augmentation.
        objective: what is minimised; a mean over the inputs, as it is taken over the shares of a batch.
        augment: changes the inputs of each batch; every process changes the whole batch and takes its share.
    """

    model: nn.Module
    train: Part
    valid: Part
    epochs: int = 10
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = AdamW
    batch: int = 128
    schedule: Schedule | None = None
    seed: int = 0
    objective: Objective = cross_entropy
    augment: Augment | None = None

    def resume(self, optimizer: Optimizer, folder: Path) -> tuple[dict, list[dict]]:
        """Put model and optimizer to where the run in `folder` ended; returns its settings, and a row an epoch.

        The settings are those of `fit`, so a folder that one of the two began goes on with the other.

        Raises:
            ValueError: `folder` holds a run with other settings.
        """
        named = ("augment", "batch", "objective", "schedule", "seed")
        knobs = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in named and value != field.default:
                knobs[field.name] = value
        settings = describe_run(self.epochs, len(self.train), optimizer, knobs)
        return settings, resume_run(self.model, optimizer, folder, settings)


def make_training(study: str) -> Training:
    """Return what the study of that name trains, made anew; the global random state is left alone.

    Raises:
        ValueError: there is no such study, or it returns what cannot be trained.
    """
    make = load_study(study)
    with torch.random.fork_rng(devices=[]):
        training = make()
    rule = "study: the function must return a Training"
    require(isinstance(training, Training), rule, training, "return xnb.training.Training(model, train, valid)")
    check_training(training.model, training.train, training.valid, training.batch)
    return training


def train_shared(training: Training, folder: Path, device: torch.device) -> None:
    """Train with all processes of the group; the first writes the files of `fit` into `folder` after each epoch.

    Every process calls it, with the same training. A batch is split among them: each takes every n-th of its inputs,
    and the gradient is the mean over the whole batch, also where the shares differ in size. So the number of
    processes changes rounding alone, and may change from one epoch to the next. What does depend on it: dropout, as
    each process draws its own, and batch norm, which in training takes the statistics of a share; its running
    statistics are those of the first process.

    Raises:
        ValueError: the processes disagree about the training or the folder, or it holds a run with other settings.
        FloatingPointError: the loss is no longer finite; all processes raise it at the same step.
    """
    model = training.model.to(device)
    optimizer = training.optimizer(model.parameters())
    settings, rows = training.resume(optimizer, folder)
    _require_agreement(training.train, settings, rows)
    _copy_from_first(model.parameters())
    run = _SharedRun(
        model,
        training.train,
        training.valid,
        optimizer,
        training.batch,
        training.schedule,
        training.seed,
        training.epochs,
        training.objective,
        training.augment,
        rank=distributed.get_rank(),
    )
    for epoch in run.yield_epochs(start=len(rows)):
        rows.append(asdict(epoch))
        if run.rank == 0:
            store_epoch(model, optimizer, folder, settings, rows)
        distributed.barrier()


@dataclass(frozen=True)
class _SharedRun(Run):
    """A run of which this process computes a share of each batch.

    Gradients are summed here and not by DistributedDataParallel: objectives may ask for second derivatives or run the
    model several times, a process may have no input of a short batch, and a sum in one piece has the same order of
    additions after every restart.
    """

    def take_step(self, part: Part, place: str) -> tuple[Tensor, Tensor]:
        """As alone: the weights move along the whole batch, and its loss and right answers are returned."""
        _copy_from_first(self.model.buffers())
        own = self._take_share(part)
        loss, right = self._measure_share(own, len(own) / len(part))
        totals = torch.stack([loss.detach().double(), right.double()])
        distributed.all_reduce(totals)
        require_finite_loss(totals[0], place)
        self.optimizer.zero_grad()
        loss.backward()
        _sum_gradients(self.model)
        self.optimizer.step()
        return totals[0], totals[1]

    def _measure_share(self, own: Part, share: float) -> tuple[Tensor, Tensor]:
        """Return what these inputs add to the mean loss of their batch, and how many are right."""
        if not len(own):
            nothing = torch.zeros((), device=self.device, requires_grad=True)
            return nothing, nothing.detach()
        mean, out = self.objective(self.model, own)
        return mean * share, (out.argmax(1) == own.y).sum()

    def evaluate_valid(self) -> Evaluation:
        """Return means over the validation part, of which each process runs a share."""
        _copy_from_first(self.model.buffers())
        own = self._take_share(self.valid)
        totals = torch.zeros(2, device=self.device, dtype=torch.float64)
        if len(own):
            out = logits(self.model, own.x)
            totals[0] = F.cross_entropy(out, own.y, reduction="sum")
            totals[1] = (out.argmax(1) == own.y).sum()
        distributed.all_reduce(totals)
        loss, accuracy = (totals / len(self.valid)).tolist()
        return Evaluation(loss, accuracy)

    def _take_share(self, part: Part) -> Part:
        share = part[self.rank :: distributed.get_world_size()]
        return share.to(self.device)


def _sum_gradients(model: nn.Module) -> None:
    """Give every parameter the sum of its gradients; one that no process used has none, and so stays as it is."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    pieces = []
    for parameter in parameters:
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        pieces.append(gradient.flatten())
    # Zeros would not do for a parameter that nobody used: AdamW makes its weights decay all the same.
    used = [parameter.grad is not None for parameter in parameters]
    counts = torch.tensor(used, device=pieces[0].device, dtype=pieces[0].dtype)
    totals = torch.cat([*pieces, counts])
    distributed.all_reduce(totals)
    *sums, counts = totals.split([*map(len, pieces), len(parameters)])
    for parameter, total, users in zip(parameters, sums, counts.tolist(), strict=True):
        parameter.grad = total.view_as(parameter).to(parameter.dtype) if users else None


@torch.no_grad()
def _copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    alike: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        alike.setdefault(tensor.dtype, []).append(tensor)
    for group in alike.values():
        # One message for all of a type: sent one by one, each would take the time of the way.
        whole = torch.cat([tensor.flatten() for tensor in group])
        distributed.broadcast(whole, 0)
        sizes = [tensor.numel() for tensor in group]
        for tensor, part in zip(group, whole.split(sizes), strict=True):
            tensor.copy_(part.view_as(tensor))


def _require_agreement(train: Part, settings: dict, rows: list[dict]) -> None:
    """Refuse to go on where processes see different studies, or different files of the run."""
    weights = torch.arange(1, len(train) + 1)
    labels = int((weights * train.y.cpu()).sum())
    seen: list = [None] * distributed.get_world_size()
    distributed.all_gather_object(seen, {"settings": settings, "labels": labels, "epochs done": len(rows)})
    differences = [{key: facts[key] for key in facts if facts[key] != seen[0][key]} for facts in seen]
    rule = "train: all processes must make the same study, and see the same folder"
    hint = "draw its data with a fixed seed, and lay the folder where all hosts see it"
    require(not any(differences), rule, next(filter(None, differences), None), hint)
