"""Many methods at once, sharing the passes that they have in common, and the bill of each."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from inspect import signature
from math import nan
from time import perf_counter
from typing import Any

import pandas as pd
from torch import Tensor, nn

from xnb.access.at_layer import last_spatial_layer
from xnb.access.baselines import expand_baseline
from xnb.access.ledger import Passes, count_passes
from xnb.access.memo import remember_answers
from xnb.access.memory import measure_peak_memory
from xnb.access.model_call import check_explainable
from xnb.access.score import logits, score
from xnb.access.shared_gradients import share_gradients
from xnb.methods import METHODS, attribute
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Knobs, Logits, Model, Target


@dataclass(frozen=True)
class Explanation:
    """Logits, attributions by method, and the ledger: what each cost and how exact it claims to be, a row a method.

    `forward` and `backward` are passes per input. `seconds` is wall time. `peak_mib` is the most memory above what
    was in use before. `gap` says by how much the sum of a complete method's attributions misses the change of score,
    as a share of that change, for the worst of the inputs. `standard_error` is that of a sampled map relative to the
    map, likewise. What several methods need together, and the passes that tell the gap, are paid for in the row
    `shared`.
    """

    logits: Logits
    attributions: Mapping[str, Attribution]
    ledger: pd.DataFrame


def explain(
    model: Model,
    x: Batch,
    target: Target,
    methods: Iterable[str] = ("gradient", "integrated_gradients", "random"),
    *,
    knobs: Knobs | None = None,
) -> Explanation:
    """Explain `model`'s logit for `target` at `x` by several methods; passes that several need are run once.

    Args:
        methods: names in `xnb.catalog()`.
        knobs: for each method that wants other than its defaults, `{"occlusion": {"window": 8}}`.

    Raises:
        ValueError: as `attribute`, before anything is run if a name is unknown.
    """
    names = list(dict.fromkeys(methods))
    knobs = knobs or {}
    for name in [*names, *knobs]:
        METHODS.find(name)
    check_explainable(model, x, target)
    attributions = {}
    with remember_answers():
        with _write_bill("shared", x) as shared:
            predicted = _run_shared_passes(model, x, target, names, knobs)
        bills = [shared]
        for name in show_progress(names, len(names), "method"):
            own_knobs = knobs.get(name, {})
            with _write_bill(name, x) as bill:
                attributions[name] = attribute(model, x, target, name, **own_knobs)
            # The passes of the check are no cost of the method, which is done: they go to the shared row.
            with _write_bill("gap", x) as check:
                bill.gap = _measure_gap(model, x, target, name, attributions[name], own_knobs)
            shared.add(check)
            bills.append(bill)
    ledger = pd.DataFrame([asdict(bill) for bill in bills]).set_index("method")
    return Explanation(predicted, attributions, ledger)


def _run_shared_passes(model: Model, x: Batch, target: Target, names: list[str], knobs: Knobs) -> Logits:
    """Return the logits, from a pass whose gradients are remembered for the methods that start from them.

    `shares` of a method's card says which gradient that is.
    """
    shares = {name: METHODS.cards[name].shares for name in names}
    if "input_gradient" not in shares.values():
        # Methods at a layer are then left to themselves: the first computes the gradient at the layer, which is
        # remembered for the others, and its backward pass ends there. One from here would run down to the input.
        return logits(model, x)
    layers = []
    if isinstance(model, nn.Module):  # methods at a layer refuse a function themselves
        for name in names:
            if shares[name] == "layer_gradient":
                layers.append(knobs.get(name, {}).get("layer") or last_spatial_layer(model, x))
    return share_gradients(model, x, target, list(dict.fromkeys(layers)))


def _measure_gap(
    model: Model,
    x: Batch,
    target: Target,
    name: str,
    a: Attribution,
    knobs: Mapping[str, Any],
) -> float:
    """Return by how much the attributions of a complete method miss the change of score from its baseline.

    It is the share of that change, for the worst of the inputs; NaN for methods that do not promise completeness.
    """
    if "complete" not in METHODS.cards[name].axioms or not len(x):
        return nan
    default = signature(METHODS.find(name)).parameters["baseline"].default
    baseline = expand_baseline(knobs.get("baseline", default), x)
    change = score(model, x, target) - score(model, baseline, target)
    missing = a.flatten(1).sum(1) - change
    return float((missing / change).abs().max())


@dataclass
class _Bill:
    """A row of the ledger; `Explanation` says what the columns are."""

    method: str
    seconds: float = nan
    peak_mib: float = nan
    forward: float = nan
    backward: float = nan
    gap: float = nan
    standard_error: float = nan

    def add(self, other: "_Bill") -> None:
        """Pay for the time and the passes of another bill as well."""
        self.seconds += other.seconds
        self.forward += other.forward
        self.backward += other.backward


@contextmanager
def _write_bill(method: str, x: Batch) -> Iterator[_Bill]:
    """Yield a bill; when the block ends, it is filled in with what the block cost, passes per input."""
    bill = _Bill(method)
    with count_passes() as passes, measure_peak_memory(x.device) as peak:
        start = perf_counter()
        yield bill
        bill.seconds = perf_counter() - start
    inputs = max(len(x), 1)
    bill.peak_mib = peak.mib
    bill.forward = passes.forward / inputs
    bill.backward = passes.backward / inputs
    bill.standard_error = _largest_standard_error(passes)


def _largest_standard_error(passes: Passes) -> float:
    """Return the largest over the inputs of what the method left by `ledger.leave_note`; NaN if it left nothing."""
    error = passes.notes.get("standard_error")
    return float(error.max()) if isinstance(error, Tensor) and error.numel() else nan
