"""What a comparison consists of, and the settings by which its file is recognised."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeAlias

import torch

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.inputs import read_input
from xnb.access.rows import select_rows
from xnb.access.targets import read_target
from xnb.access.units import Units, check_axes
from xnb.check import refuse, require
from xnb.comparison.descriptions import describe_all, fingerprint, takes_knob, unwrap_partial
from xnb.comparison.fillings import Filling, choose_filling, tell_mismatches
from xnb.comparison.signs import Signs, add_magnitudes
from xnb.data import Part
from xnb.methods import METHODS
from xnb.metrics import METRICS
from xnb.registry import check_knobs
from xnb.types import Batch, Knobs, Model, Target, TargetLike

# Names in a catalog or functions of one's own, with or without labels.
Selection: TypeAlias = str | Iterable[str | Callable] | Mapping[str, str | Callable]
_CONTROLS = ("random", "constant", "baseline_distance")
_PICTURE_CONTROLS = ("edges", "centre")


class ImageBlock(NamedTuple):
    """Images that are worked on together and share passes."""

    model: int  # its number among the models
    rows: slice  # of the images


@dataclass(frozen=True)
class Plan:
    """The work, looked up and checked.

    Attributes:
        part: the selected inputs of the data.
        images: their positions in the data.
        size: how many inputs the data have.
        target: a class for each of them; None stands for the class that the model predicts.
        methods: functions by label, their knobs set; metrics likewise.
        batch: images of one block.
    """

    models: Sequence[Model]
    part: Part
    images: Sequence[int]
    size: int
    target: Target | None
    methods: Mapping[str, Callable]
    metrics: Mapping[str, Callable]
    batch: int
    seed: int

    def blocks(self) -> list[ImageBlock]:
        """Return all blocks, model by model, in the order in which they are run."""
        starts = range(0, len(self.part), self.batch)
        slices = [slice(start, start + self.batch) for start in starts]
        return [ImageBlock(number, rows) for number in range(len(self.models)) for rows in slices]

    def settings(self) -> dict[str, object]:
        """Return all that the values are a function of, as JSON can hold it; of a function of your own, its name."""
        return {
            "models": [fingerprint(model) for model in self.models],
            "images": list(self.images),
            "data": fingerprint([self.part.x, self.part.masks]),
            "target": "predicted" if self.target is None else fingerprint([self.target]),
            # by label, in the order of the table; baselines and signs are among what is described
            "methods": describe_all(self.methods),
            "metrics": describe_all(self.metrics),
            "seed": self.seed,
            "batch": self.batch,
            "torch": torch.__version__,
        }


def make_plan(
    models: Sequence[Model],
    data: Part,
    methods: Selection,
    metrics: Selection,
    *,
    images: int | Sequence[int] | None,
    target: TargetLike | None,
    seed: int,
    knobs: Knobs,
    batch: int,
    units: Units = None,
    baseline: Baseline | None = None,
    signs: Signs = "both",
) -> Plan:
    """Look up and check everything before anything is run; arguments are those of `xnb.compare`."""
    data = _read_data(models, data)
    require(batch >= 1, "compare: batch must be at least 1 input", batch, "batch=16")
    positions = choose_images(len(data), images, seed)
    classes = None if target is None else read_target(target, data.x)
    method_functions = _add_controls(label_functions(methods), data.x)
    metric_functions = label_functions(metrics)
    labels = [*method_functions, *metric_functions]
    unknown = sorted(set(knobs) - set(labels))
    # A misspelt label would leave a method at its defaults, and nobody would notice.
    require(not unknown, "compare: knobs of what is not compared", unknown, f"one of {labels}")
    rows = torch.tensor(positions)
    axes = None if units is None else check_axes(units, data.x, "compare")
    shared: dict[str, object] = {"seed": seed} if axes is None else {"seed": seed, "units": axes}
    filling = choose_filling(baseline, data.x, models[0], axes)
    bound_methods = _bind_all(method_functions, METHODS.find, knobs, shared, filling)
    bound_metrics = _bind_all(metric_functions, METRICS.find, knobs, shared, filling)
    if baseline is not None:
        with select_rows(rows, len(data)):  # refused now, and not in every cell
            expand_baseline(filling.baseline, data.x[rows], models[0])
    tell_mismatches(bound_methods, bound_metrics, filling)
    return Plan(
        models=models,
        part=data[rows],
        images=positions,
        size=len(data),
        target=None if classes is None else classes[rows],
        methods=add_magnitudes(bound_methods, signs),
        metrics=bound_metrics,
        batch=batch,
        seed=seed,
    )


def _read_data(models: Sequence[Model], data: object) -> Part:
    """Return the data with plain tensors, or refuse what is no part of a data set."""
    hint = "data = data.test" if hasattr(data, "test") else "data = xnb.data.Part(x, y)"
    if not isinstance(data, Part):
        refuse("compare: data must be a part of a data set, inputs and their classes", data, hint)
    counts = (len(models), len(data))
    require(min(counts) > 0, "compare: needs a model and an input", counts, "a list with a model, a part with an input")
    return replace(data, x=read_input(models[0], data.x, "compare"))


def choose_images(count: int, images: int | Sequence[int] | None, seed: int) -> list[int]:
    """Return positions of images in data of length `count`, in the order in which they are compared.

    Args:
        images: None for all, positions as they are, or how many to draw without replacement; drawn ones are sorted.
        seed: of the draw.
    """
    if images is None:
        return list(range(count))
    if isinstance(images, int):
        possible = 1 <= images <= count
        rule = f"compare: images must be from 1 to {count}, or positions in the data"
        require(possible, rule, images, f"images={count}")
        # A generator of its own: the caller's random numbers stay as they are.
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        return sorted(order[:images].tolist())
    positions = [int(position) for position in images]
    different = bool(positions) and len(set(positions)) == len(positions)
    inside = all(0 <= position < count for position in positions)
    rule = f"compare: images must be different positions in [0, {count})"
    require(different and inside, rule, positions, "images=range(16)")
    return positions


def label_functions(selection: Selection) -> dict[str, str | Callable]:
    """Return names and functions by label; a function without a label goes by its own name."""
    if isinstance(selection, str):
        return {selection: selection}
    if isinstance(selection, Mapping):
        return dict(selection)
    labels: dict[str, str | Callable] = {}
    for function in selection:
        label = function if isinstance(function, str) else unwrap_partial(function).__name__
        labels[label] = function
    return labels


def _add_controls(methods: dict[str, str | Callable], x: Batch) -> dict[str, str | Callable]:
    """Return the methods, and after them the controls that fit the input and are not among them."""
    controls: tuple[str, ...] = _CONTROLS
    if x.ndim == 4:
        controls += _PICTURE_CONTROLS
    return methods | {name: name for name in controls if name not in methods}


def _bind_all(
    functions: Mapping[str, str | Callable],
    find: Callable[[str], Callable],
    knobs: Knobs,
    shared: Mapping[str, object],
    filling: Filling,
) -> dict[str, Callable]:
    """Return functions by label with their knobs set; `find` looks up those that are names."""
    bound = {}
    for label, name_or_function in functions.items():
        function = name_or_function if callable(name_or_function) else find(name_or_function)
        check_knobs(function, knobs.get(label, {}), f"compare: {label}")
        bound[label] = _bind_knobs(function, knobs.get(label, {}), {**shared, **filling.knobs(function)})
    return bound


def _bind_knobs(function: Callable, knobs: Mapping[str, object], shared: Mapping[str, object]) -> Callable:
    """Return the function with these knobs set, and the shared ones that it takes where they say no other."""
    defaults = {name: value for name, value in shared.items() if takes_knob(function, name)}
    return partial(function, **(defaults | dict(knobs)))
