"""What a row of the comparison consists of, and the list of rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

import xnb
from benchmarks.workloads import Workload

Explain = Callable[[nn.Module, Tensor, Tensor], Tensor]  # (model, x, target) -> what is compared


@dataclass(frozen=True)
class Peer:
    """Another library at the same work.

    `run` takes the knobs of a setting; the first setting is what a user gets who sets nothing. `goals` are ratios of
    times to stay below, ours by theirs: {"prepared/default": 0.7, "plain/best": 1.0}, and "memory" that of the
    prepared form's peak by the default's. `view` turns our result into their convention.
    """

    name: str
    run: Callable[..., Tensor]
    goals: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    view: Callable[[Tensor], Tensor] = lambda ours: ours

    def variants(self) -> dict[str, Callable[[], Tensor]]:
        """Setting -> call, the default first."""
        settings = {"default": {}, **self.settings}
        return {name: lambda knobs=knobs: self.run(**knobs) for name, knobs in settings.items()}


@dataclass(frozen=True)
class Case:
    """One work on one workload: our call, the peers', and how far results may lie apart.

    `passes` are the inputs that the bare limit runs forward only, and forward and backward, together with
    `limit_goal`, how much longer than it we may take. `tolerance` bounds max|a - b| / max|reference| between ours
    on the user's model and theirs; None where results are sampled: then our error against the referee may be
    twice theirs at most. `referee` is what both are measured against, of the first few inputs.
    """

    ours: Explain
    peers: tuple[Peer, ...] = ()
    passes: tuple[int, int] | None = None
    limit_goal: float = 1.15
    tolerance: float | None = 1e-4
    referee: Callable[[], Tensor] | None = None


@dataclass(frozen=True)
class Row:
    """A case that has not been built yet."""

    work: str
    workload: str
    inputs: int
    build: Callable[[Workload], Case]

    @property
    def name(self) -> str:
        return f"{self.work}/{self.workload}"


ROWS: list[Row] = []


def row(work: str, **inputs: int) -> Callable[[Callable[[Workload], Case]], Callable[[Workload], Case]]:
    """Enter the function as the builder of `work` on each workload named, with that many inputs."""

    def enter(build: Callable[[Workload], Case]) -> Callable[[Workload], Case]:
        ROWS.extend(Row(work, workload, number, build) for workload, number in inputs.items())
        return build

    return enter


def matches(name: str, words: str) -> bool:
    """Whether the name contains one of the words, which are divided by semicolons."""
    return any(word.strip() in name for word in words.split(";"))


def method(name: str, **knobs: object) -> Explain:
    """Our method as a user calls it."""
    return lambda model, x, target: xnb.attribute(model, x, target, name, **knobs)


def in_double(w: Workload, explain: Explain, inputs: int | None = None) -> Callable[[], Tensor]:
    """Referee: the same computed in double precision on the user's model."""
    return lambda: explain(w.double, w.x[:inputs].double(), w.target[:inputs])


def bare_limit(w: Workload, forward: int, backward: int) -> None:
    """Nothing but that many passes through the prepared model, in batches that stay in cache."""
    for some in batches(w, forward):
        with torch.inference_mode():
            w.prepared(some)
    for some in batches(w, backward):
        leaf = some.detach().requires_grad_()
        torch.autograd.grad(w.prepared(leaf).sum(), leaf)


def batches(w: Workload, inputs: int) -> Iterator[Tensor]:
    full = w.x.repeat(-(-w.limit_batch // len(w.x)), *[1] * (w.x.ndim - 1))
    for start in range(0, inputs, w.limit_batch):
        yield full[: min(w.limit_batch, inputs - start)]
