"""What a comparison consists of, and the settings by which its file is recognised."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import torch

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.data_sets import describe_data, read_data_set, read_rows
from xnb.access.descriptions import describe_all, fingerprint, takes_knob, unwrap_partial
from xnb.access.rows import select_rows
from xnb.access.targets import read_target
from xnb.access.units import Units, check_axes
from xnb.check import require
from xnb.comparison.blocks import Block, Functions
from xnb.comparison.fillings import Filling, choose_filling, tell_mismatches
from xnb.comparison.signs import Signs, add_magnitudes
from xnb.data import Part, Streamed
from xnb.methods import METHODS
from xnb.metrics import METRICS
from xnb.registry import check_knobs
from xnb.types import Batch, Knobs, Model, Target, TargetLike

# Names in a catalog or functions of one's own, with or without labels.
Selection: TypeAlias = str | Iterable[str | Callable] | Mapping[str, str | Callable]
USUAL_METHODS = ("gradient", "gradient_times_input", "integrated_gradients", "smoothgrad", "lrp", "occlusion")
USUAL_METRICS = ("srg", "insertion", "deletion", "road")
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
        functions: models, methods and metrics.
        data: the selected inputs, in memory or read when their block is worked on.
        images: their positions in the data that they were selected from.
        target: a class for each of them; None stands for the class that the model predicts.
        batch: images of one block.
    """

    functions: Functions
    data: Part | Streamed
    images: Sequence[int]
    target: Target | None
    batch: int
    seed: int

    def blocks(self) -> list[ImageBlock]:
        """Return all blocks, model by model, in the order in which they are run."""
        starts = range(0, len(self.images), self.batch)
        slices = [slice(start, start + self.batch) for start in starts]
        return [ImageBlock(number, rows) for number in range(len(self.functions.models)) for rows in slices]

    def read_block(self, model: int, rows: slice) -> Block:
        """Return the inputs of a block."""
        images = list(self.images[rows])
        target = None if self.target is None else self.target[rows]
        read = read_rows(self.data, rows)
        if target is not None:
            target = target[read.places]
        unread = {images[place]: error for place, error in read.errors.items()}
        return Block(model, images, read.part, target, unread)

    def settings(self) -> dict[str, object]:
        """Return all that the values are a function of, as JSON can hold it; of a function of your own, its name."""
        return {
            "models": [fingerprint(model) for model in self.functions.models],
            "images": list(self.images),
            "data": describe_data(self.data),
            "target": "predicted" if self.target is None else fingerprint([self.target]),
            # by label, in the order of the table; baselines and signs are among what is described
            "methods": describe_all(self.functions.methods),
            "metrics": describe_all(self.functions.metrics),
            "seed": self.seed,
            "batch": self.batch,
            "torch": torch.__version__,
        }


def make_plan(
    models: Sequence[Model],
    data: object,
    methods: Selection = USUAL_METHODS,
    metrics: Selection = USUAL_METRICS,
    *,
    images: int | Sequence[int] | None = None,
    target: TargetLike | None = None,
    seed: int = 0,
    knobs: Knobs | None = None,
    batch: int = 16,
    units: Units = None,
    baseline: Baseline | None = None,
    signs: Signs = "both",
) -> Plan:
    """Look up and check everything before anything is run; arguments are those of `xnb.compare`."""
    knobs = knobs or {}
    require(len(models) > 0, "compare: needs a model", models, "a list with a model")
    source = read_data_set(models[0], data, "compare")
    first = source[:1].x  # what all inputs have in common can be seen in one
    require(batch >= 1, "compare: batch must be at least 1 input", batch, "batch=16")
    positions = choose_images(len(source), images, seed)
    classes = None if target is None else read_target(target, torch.empty(len(source), device=first.device))
    method_functions = _add_controls(label_functions(methods), first)
    metric_functions = label_functions(metrics)
    labels = [*method_functions, *metric_functions]
    unknown = sorted(set(knobs) - set(labels))
    # A misspelt label would leave a method at its defaults, and nobody would notice.
    require(not unknown, "compare: knobs of what is not compared", unknown, f"one of {labels}")
    axes = None if units is None else check_axes(units, first, "compare")
    shared: dict[str, object] = {"seed": seed} if axes is None else {"seed": seed, "units": axes}
    with select_rows(slice(0, 1), len(source)):
        filling = choose_filling(baseline, first, models[0], axes)
    bound_methods = _bind_all(method_functions, METHODS.find, knobs, shared, filling)
    bound_metrics = _bind_all(metric_functions, METRICS.find, knobs, shared, filling)
    selected = source if positions == list(range(len(source))) else _select(source, positions)
    if baseline is not None:
        _check_baseline(filling, selected, positions, models[0], len(source))
    tell_mismatches(bound_methods, bound_metrics, filling)
    return Plan(
        functions=Functions(models, add_magnitudes(bound_methods, signs), bound_metrics, len(source)),
        data=selected,
        images=positions,
        target=None if classes is None else classes[torch.tensor(positions)],
        batch=batch,
        seed=seed,
    )


def _select(source: Part | Streamed, positions: Sequence[int]) -> Part | Streamed:
    if isinstance(source, Streamed):
        return source.select(positions)
    return source[torch.tensor(positions)]


def _check_baseline(filling: Filling, data: Part | Streamed, positions: Sequence[int], model: Model, size: int) -> None:
    """Refuse now, and not in every cell; of streamed data the first input is tried."""
    tried = data[:1] if isinstance(data, Streamed) else data
    rows = torch.tensor(positions[: len(tried)])
    with select_rows(rows, size):
        expand_baseline(filling.baseline, tried.x, model)


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
