"""What a map promises, measured: that it adds up to the change of score, that it keeps the score, that it is exact."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from math import nan
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.access.baselines import expand_baseline
from xnb.access.score import score
from xnb.check import warn
from xnb.methods.registry import METHODS
from xnb.types import Attribution, Batch, Model, Target

LIMIT = 0.1  # a promise that is missed by more than this share is warned of
# A change of score below this share of the map's own size, the sum of its absolute values, is what is left of much
# that cancels. The gap is then a share of this much of the map: of a change near zero, any rounding is many times.
_LEAST_CHANGE = 0.01


@dataclass(frozen=True)
class Promises:
    """What was measured of one call, a number an input; None where the method does not promise it.

    Attributes:
        gap: what the sum of the map misses of the change of score from its baseline, as a share of that change.
        cancelled: where the change is less than a hundredth of the map's magnitudes; the gap is a share of that then.
        gap_limit: the largest gap that is no breach, `tolerance` where one was asked for.
        conserved: the sum of the map as a share of the score.
        error: standard error of a map of random draws, relative to the map, and the error that was asked for.
    """

    gap: Float[Tensor, " B"] | None = None
    cancelled: Bool[Tensor, " B"] | None = None
    gap_limit: float = LIMIT
    conserved: Float[Tensor, " B"] | None = None
    error: Float[Tensor, " B"] | None = None
    error_limit: float | None = None

    def broken(self) -> Iterator[str]:
        """Every promise that is not kept for some input, in words."""
        gap = largest(self.gap)
        if gap > self.gap_limit:
            yield f"its sum misses the change of score by {_percent(gap)} of {self._name_whole()}"
        if largest(_distance_from_one(self.conserved)) > LIMIT:
            yield f"its sum is {_percent(self.least_conserved())} of the score"
        error = largest(self.error)
        if self.error_limit is not None and error > self.error_limit:
            yield f"its standard error is {_percent(error)} of the map, and {_percent(self.error_limit)} was asked for"

    def _name_whole(self) -> str:
        """What the largest gap is a share of."""
        if self.gap is not None and self.cancelled is not None and self.cancelled[self.gap.argmax()]:
            return "a hundredth of its magnitudes"
        return "it"

    def least_conserved(self) -> float:
        """The share of the score that is furthest from all of it; NaN where none was measured."""
        distance = _distance_from_one(self.conserved)
        if self.conserved is None or distance is None or not len(distance):
            return nan
        return float(self.conserved[distance.argmax()])


def _distance_from_one(shares: Tensor | None) -> Tensor | None:
    return None if shares is None else (shares - 1).abs()


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def largest(values: Tensor | None) -> float:
    """The largest of the values; NaN where there are none."""
    if isinstance(values, Tensor) and values.numel():
        return float(values.max())
    return nan


def measure_promises(
    model: Model,
    x: Batch,
    target: Target,
    name: str,
    a: Attribution,
    knobs: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> Promises:
    """Measure what the method promises; two forward passes an input where it promises to add up, else none.

    Args:
        notes: what the method left by `ledger.leave_note`: `change` of the score from the baseline, `conserved`,
            `standard_error`.
    """
    complete = "complete" in METHODS.cards[name].axioms and len(x) > 0
    gap = cancelled = None
    if complete:
        gap, cancelled = _measure_gap(model, x, target, name, a, knobs, notes.get("change"))
    return Promises(
        gap=gap,
        cancelled=cancelled,
        gap_limit=knobs.get("tolerance") or LIMIT,
        conserved=notes.get("conserved"),
        error=notes.get("standard_error"),
        error_limit=knobs.get("standard_error"),
    )


def _measure_gap(
    model: Model,
    x: Batch,
    target: Target,
    name: str,
    a: Attribution,
    knobs: Mapping[str, Any],
    change: Tensor | None,
) -> tuple[Float[Tensor, " B"], Bool[Tensor, " B"]]:
    """What each map misses, as a share of the change of score; and where it is a share of the map instead."""
    values = a.flatten(1).double()
    rounding = values.new_zeros(())
    if change is None:
        default = signature(METHODS[name]).parameters["baseline"].default
        start = expand_baseline(knobs.get("baseline", default), x, model)
        at_input, at_start = score(model, x, target).double(), score(model, start, target).double()
        change = at_input - at_start
        # In half precision a large score is known to a few digits, and a small change of it to none.
        rounding = torch.finfo(x.dtype).eps * (at_input.abs() + at_start.abs())
    missed = (values.sum(1) - change).abs() - rounding
    least = _LEAST_CHANGE * values.abs().sum(1)
    size = change.double().abs()
    share = missed / torch.maximum(size, least)
    return torch.where(missed > 0, share, 0), size < least


def warn_if_broken(name: str, promises: Promises, knobs: Mapping[str, Any]) -> None:
    """Warn once of what a call did not keep, with the line that mends it."""
    broken = list(promises.broken())
    if broken:
        warn(f"{name}: the map does not keep what the method promises", "; ".join(broken), _find_cure(name, knobs))


def _find_cure(name: str, knobs: Mapping[str, Any]) -> str:
    """The call with the knobs that mend it: more draws, steps to a tolerance; or a method that adds up."""
    parameters = signature(METHODS[name]).parameters
    if knobs.get("standard_error") is not None:
        cure = {"samples": 4 * (knobs.get("samples") or parameters["samples"].default)}
    elif "tolerance" not in parameters:
        return 'xnb.attribute(model, x, target, "integrated_gradients", tolerance=0.01)  # adds up for any model'
    elif knobs.get("tolerance") is None:
        cure = {"tolerance": 0.01, "steps": None}
    else:
        cure = {"steps": 4 * (knobs.get("steps") or 1024)}
    return write_call(name, {**knobs, **cure})


def write_call(name: str, knobs: Mapping[str, Any]) -> str:
    """A call of `xnb.attribute` as code; a knob that is no number or word stands under its own name."""
    arguments = ["model", "x", "target", f'"{name}"']
    for knob, value in knobs.items():
        if value is not None:
            arguments.append(f"{knob}={write_value(knob, value)}")
    return f"xnb.attribute({', '.join(arguments)})"


def write_value(knob: str, value: object) -> str:
    """A knob's value as code: of a number or a word itself, of all else the name of the knob."""
    return repr(value) if value is None or isinstance(value, int | float | str) else knob
