"""One choice of what stands where something is absent: where maps begin, and what metrics lay where they remove."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import signature
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.descriptions import describe_knob, unwrap_partial
from xnb.access.units import INSTANCES, Axes, Units, see_axes
from xnb.check import warn
from xnb.comparison.signs import is_control
from xnb.types import Batch, Model

_DEFINITION = "noisy_linear"  # an imputer that looks at what is left: a metric that has it by default is defined by it
_BY_PLACE = ("mean", "blur")  # baselines that are taken along the places of an input
_MOST_PAIRS = 3  # named in a warning


@dataclass(frozen=True)
class Filling:
    """A choice in the forms in which it is asked for.

    Attributes:
        name: as the user would write it.
        baseline: of methods.
        impute: of metrics.
    """

    name: Baseline
    baseline: Baseline
    impute: object

    def knobs(self, function: Callable) -> dict[str, object]:
        """Return those of its forms that this method or metric takes and is not defined by."""
        parameters = signature(function).parameters
        forms = {"baseline": self.baseline, "impute": self.impute}
        return {name: form for name, form in forms.items() if name in parameters and not _is_defined_by(function, name)}


def choose_filling(baseline: Baseline | None, x: Batch, model: Model, units: Units) -> Filling:
    """Return the choice; without one the mean of each channel over the places, zero where no places are seen.

    Tables, tokens and bags have zero: their numbers are mostly standardised, and a mean over what has no order of its
    own is no colour.
    """
    axes = _see_places(x, model, units)
    has_places = axes is not None and axes != INSTANCES
    if baseline is None:
        baseline = "mean" if has_places else "zero"
    by_name = isinstance(baseline, str)
    # Zero, a number and a tensor mean the same to methods and to metrics.
    is_plain = baseline == "zero" if by_name else not callable(baseline)
    if is_plain:
        return Filling(baseline, baseline, baseline)
    # Noise and functions: metrics get an imputer that lays the very baseline.
    if not by_name or baseline not in _BY_PLACE:
        return Filling(baseline, baseline, partial(_lay_baseline, baseline=baseline))
    # Mean and blur go along places, which have to be the same on both sides.
    start, impute = baseline, baseline
    if units is not None:  # axes that a method sees by itself are the same
        start = partial(_expand_along, baseline=baseline, axes=axes)
    if baseline != "mean" or not has_places:  # of places metrics have the same mean, and another blur
        impute = partial(_lay_baseline, baseline=baseline, axes=axes)
    return Filling(baseline, start, impute)


def _see_places(x: Batch, model: Model, units: Units) -> Axes | None:
    if x.ndim < 3:
        return INSTANCES
    if units is None:
        return see_axes(x, model)  # looks at the first input, and at what belongs to it
    return (units,) if isinstance(units, int) else tuple(units)


def _expand_along(x: Batch, *, baseline: str, axes: Axes | None) -> Batch:
    """Return the named baseline of each input, taken along these axes."""
    return expand_baseline(baseline, x, places=axes)


def _lay_baseline(
    x: Batch, removed: Float[Tensor, "N b *#shape"], *, baseline: Baseline, axes: Axes | None = None
) -> Tensor:
    """Return the inputs with their baseline where `removed` is 1: an imputer for metrics, `(N, B, *shape)`."""
    return torch.lerp(x, expand_baseline(baseline, x, places=axes), removed)


def _is_defined_by(function: Callable, knob: str) -> bool:
    default = signature(unwrap_partial(function)).parameters[knob].default
    return isinstance(default, str) and default == _DEFINITION


def tell_mismatches(methods: Mapping[str, Callable], metrics: Mapping[str, Callable], filling: Filling) -> None:
    """Warn once where knobs of one's own part what a map begins at from what it is judged by."""
    starts = _read_knobs(methods, "baseline")
    fills = _read_knobs(metrics, "impute")
    pairs = []
    for method, metric in product(starts, fills):
        if starts[method] != fills[metric]:
            pairs.append(f"{method} begins at {starts[method]}, {metric} fills with {fills[metric]}")
    if pairs:
        # The first few say what kind of thing it is; a line has an end.
        rule = f"compare: maps are judged by what they do not speak of: {'; '.join(pairs[:_MOST_PAIRS])}"
        warn(rule, f"{len(pairs)} pairs of a method and a metric", _suggest_knobs(starts, fills, filling))


def _suggest_knobs(starts: Mapping[str, str], fills: Mapping[str, str], filling: Filling) -> str:
    """Return the line that gives the one choice to all that have another."""
    wanted = _name_value(filling.name)
    mended = {method: {"baseline": filling.name} for method, start in starts.items() if start != wanted}
    mended |= {metric: {"impute": filling.name} for metric, fill in fills.items() if fill != wanted}
    if isinstance(filling.name, str | int | float):
        return f"knobs={mended}"
    return f"knobs={{}}  # without those of {', '.join(mended)}"


def _read_knobs(functions: Mapping[str, Callable], knob: str) -> dict[str, str]:
    """Return by label what each function has for this knob; controls, which answer for nothing, are left out."""
    found = {}
    for label, function in functions.items():
        parameters = signature(function).parameters
        if knob in parameters and not is_control(function):
            value = parameters[knob].default
            # What an imputer lays depends on what is left, and a function of one's own may do anything.
            if knob == "baseline" or _is_paint(value):
                found[label] = _name_value(value)
    return found


def _is_paint(impute: object) -> bool:
    """Return whether what is laid does not depend on what is left."""
    if callable(impute):
        return unwrap_partial(impute) is _lay_baseline
    return not (isinstance(impute, str) and impute == _DEFINITION)


def _name_value(value: object) -> str:
    """Return the same text for what is the same: zero by name or number, a baseline in any of its forms."""
    if isinstance(value, partial) and unwrap_partial(value) in (_lay_baseline, _expand_along):
        return _name_value(value.keywords["baseline"])
    if isinstance(value, int | float):
        return "'zero'" if value == 0 else repr(float(value))
    return describe_knob(value)
