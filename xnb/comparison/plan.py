"""What a comparison consists of, and the settings by which its file is known again."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature

import torch
from torch import Tensor, nn

from xnb.check import require
from xnb.data import Part
from xnb.methods import METHODS
from xnb.metrics import METRICS
from xnb.types import Batch, Model, Target

Named = Iterable[str | Callable] | Mapping[str, str | Callable]
Knobs = Mapping[str, Mapping[str, object]]
CONTROLS = ("random", "constant", "input")
PICTURE_CONTROLS = ("edges", "centre")


@dataclass(frozen=True)
class Plan:
    """The work: `images` are places in the data that was given, `part` is what stands there."""

    models: Sequence[Model]
    part: Part
    images: Sequence[int]
    target: Target | None
    methods: Mapping[str, Callable]
    metrics: Mapping[str, Callable]
    batch: int
    seed: int

    def blocks(self) -> list[tuple[int, slice]]:
        """What is worked on, written and resumed as one: (model, some of the images)."""
        starts = range(0, len(self.part), self.batch)
        return [(m, slice(start, start + self.batch)) for m in range(len(self.models)) for start in starts]

    def settings(self) -> dict[str, object]:
        """All that the values are a function of, as JSON can hold it. Of a function of your own, only its name."""
        return {
            "models": [fingerprint(model) for model in self.models],
            "images": list(self.images),
            "data": fingerprint([self.part.x, self.part.masks]),
            "target": "predicted" if self.target is None else fingerprint([self.target]),
            "methods": {label: told(function) for label, function in self.methods.items()},
            "metrics": {label: told(function) for label, function in self.metrics.items()},
            "seed": self.seed,
            "batch": self.batch,
            "torch": torch.__version__,
        }


def chosen(count: int, images: int | Sequence[int] | None, seed: int) -> list[int]:
    """Which of `count` inputs: all, the places given, or so many drawn without replacement, in their order."""
    if images is None:
        return list(range(count))
    if isinstance(images, int):
        fits = 1 <= images <= count
        require(fits, f"compare: images must be from 1 to {count}, or places in the data", images, f"images={count}")
        drawn = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:images]
        return sorted(drawn.tolist())
    places = [int(place) for place in images]
    inside = bool(places) and len(set(places)) == len(places) and all(0 <= place < count for place in places)
    require(inside, f"compare: images must be different places in [0, {count})", places, "images=range(16)")
    return places


def with_controls(methods: Named, x: Batch) -> dict[str, str | Callable]:
    """The methods by label, and the controls that fit the input and are not among them."""
    given, controls = labelled(methods), CONTROLS + (PICTURE_CONTROLS if x.ndim == 4 else ())
    return given | {name: name for name in controls if name not in given}


def labelled(given: Named) -> dict[str, str | Callable]:
    """Label -> name or function; a function without a label goes by its own name."""
    if isinstance(given, Mapping):
        return dict(given)
    return {one if isinstance(one, str) else bare(one).__name__: one for one in given}


def bound(
    given: Mapping[str, str | Callable], find: Callable[[str], Callable], knobs: Knobs, seed: int
) -> dict[str, Callable]:
    """Label -> function with its knobs set, and the seed where it takes one."""
    functions = {label: find(one) if isinstance(one, str) else one for label, one in given.items()}
    return {
        label: partial(function, **({"seed": seed} if takes(function, "seed") else {}) | dict(knobs.get(label, {})))
        for label, function in functions.items()
    }


def plan(
    models: Sequence[Model],
    data: Part,
    methods: Named,
    measures: Named,
    *,
    images: int | Sequence[int] | None,
    target: Target | None,
    seed: int,
    knobs: Knobs,
    batch: int,
) -> Plan:
    """Everything looked up and checked before anything is run."""
    require(len(models) > 0 and len(data) > 0, "compare: needs a model and an input", (len(models), len(data)))
    require(batch >= 1, "compare: batch must be at least 1 input", batch, "batch=16")
    places = chosen(len(data), images, seed)
    short = target is not None and len(target) != len(data)
    require(not short, f"compare: target must have one class per input of the data ({len(data)},)", target)
    explainers, measures = with_controls(methods, data.x), labelled(measures)
    strange = sorted(set(knobs) - set(explainers) - set(measures))
    require(not strange, "compare: knobs of what is not compared", strange, f"one of {[*explainers, *measures]}")
    some = torch.tensor(places)
    return Plan(
        models,
        data[some],
        places,
        None if target is None else target[some],
        bound(explainers, METHODS.find, knobs, seed),
        bound(measures, METRICS.find, knobs, seed),
        batch,
        seed,
    )


def bare(function: Callable) -> Callable:
    """The function below what `partial` has set."""
    return bare(function.func) if isinstance(function, partial) else function


def takes(function: Callable, name: str) -> bool:
    """Whether a knob of that name is left to be set."""
    return name in signature(function).parameters and name not in getattr(function, "keywords", {})


def told(function: Callable) -> str:
    """A function by name and knobs; tensors and models among them by their content."""
    knobs = sorted(getattr(function, "keywords", {}).items())
    given = {k: fingerprint([v] if isinstance(v, Tensor) else v) if big(v) else v for k, v in knobs}
    inner = bare(function)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{inner.__module__}.{name}({', '.join(f'{k}={v!r}' for k, v in given.items())})"


def big(knob: object) -> bool:
    """Whether its repr does not tell what it is."""
    return isinstance(knob, Tensor) or callable(knob)


def fingerprint(of: Model | Sequence[Tensor | None]) -> str:
    """Sixteen digits of the SHA-256 of all tensors, of a model those of its state; a plain function by its name."""
    if callable(of) and not isinstance(of, nn.Module):
        return told(of)
    digest = hashlib.sha256()
    for name, tensor in named_tensors(of):
        digest.update(f"{name} {None if tensor is None else (tensor.dtype, tuple(tensor.shape))}".encode())
        if tensor is not None:
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def named_tensors(of: nn.Module | Sequence[Tensor | None]) -> Iterator[tuple[str, Tensor | None]]:
    yield from of.state_dict().items() if isinstance(of, nn.Module) else ((str(i), t) for i, t in enumerate(of))
