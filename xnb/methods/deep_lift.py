"""DeepLIFT: differences from a reference input, followed through the network."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.chunking import chunks, join_chunks
from xnb.access.functions.function_rules import WITHOUT_RULES, apply_rules, rule_gradient
from xnb.access.functions.traced_call import Call
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.access.targets import target_logit
from xnb.check import require
from xnb.methods.deep_lift_rules import NONLINEAR, ReferenceCall, build_table
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Logits, Model, Scores, Target

_LARGEST_GAP = 0.01  # in parts of the score: small beside what a map shows, and far above rounding to 32 bits


@method(
    family="rules",
    needs="gradient",
    cost="2 F + B, or F + B where all inputs share a baseline",
    axioms=("complete", "linear", "dummy"),
    paper="Shrikumar et al. 2017, arXiv:1704.02685",
)
def deep_lift(
    model: Model, x: Batch, target: Target, *, baseline: Baseline = 0.0, chunk: int | None = None
) -> Attribution:
    r"""Share of each input value in the change of score from `baseline` to `x`, by the rescale rule. Unit: score.

    .. math:: a = (x - b) \odot m, \qquad m_{in} = m_{out}\,\frac{g(z) - g(z^b)}{z - z^b}

    In place of the gradient of an elementwise function `g` stands its average slope between the two activations. A
    product of two signals, as in attention, a gate or the deviation of a layer norm, moves by the change of each times
    the mean of the other; what a maximum gained goes to its place now, what it lost to its place before. So `a` adds
    up to :math:`f(x) - f(b)` exactly, in one pass. The answer belongs to the baseline, and to how the network is
    written: two networks that compute the same function may differ. The rules stand in `deep_lift_rules`.

    Args:
        baseline: the reference: a number, a tensor, "mean", "blur", "noise" or a function, as in
            `xnb.access.baselines.expand_baseline`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model contains a function without a rule or code that cannot be seen, or the shares do not add
            up, as where a part of it is detached from the graph.
    """
    check_explainable(model, x, target)
    start = expand_baseline(baseline, x, model)
    # A reference that all inputs share, one row or number expanded, is run once and not with every chunk.
    shared = start.stride(0) == 0
    common = _record_shared(model, start) if shared and len(x) > 1 else None
    parts = []
    for rows in chunks(x, chunk):
        reference = _Reference(common, partial(_record_rows, model, start, rows))
        surrogate = apply_rules(model, build_table(reference.answer), who="deep_lift")
        result = rule_gradient(surrogate, x, target, rows, "deep_lift")
        part = (x[rows] - start[rows]) * result.gradient
        change = target_logit(result.logits, target[rows]) - reference.scores(target[rows])
        _check_sum(part, change, result.logits)
        parts.append(part)
        common = reference.shared
    return join_chunks(parts, x).detach()


class _Record(NamedTuple):
    """Calls of all nonlinear functions on a reference, in the order in which they ran, and the logits there."""

    calls: list[ReferenceCall]
    logits: Logits


def _record_shared(model: Model, start: Batch) -> _Record | None:
    """The reference of all inputs, run as one; None where the model needs a row for each input."""
    try:
        return _record(model, start[:1])
    except ValueError:  # what belongs to an input, as a mask, cannot follow a row that stands for all
        return None


def _record_rows(model: Model, start: Batch, rows: slice) -> _Record:
    """The reference of some inputs, each its own."""
    with select_rows(rows, len(start)):
        return _record(model, start[rows])


def _record(model: Model, start: Batch) -> _Record:
    calls: list[ReferenceCall] = []

    def record(call: Call) -> Any:
        value = call.run()
        calls.append(ReferenceCall(call.name, call.of_signals().args, value))
        return value

    with torch.no_grad():
        out = chunk_logits(apply_rules(model, build_table(record), who="deep_lift"), start.clone())
    return _Record(calls, out)


class _Reference:
    """What ran on the reference, call by call, beside what runs now.

    Attributes:
        shared: the reference that all inputs share; None from where a call does not fit it, as rows were folded into
            another axis: from there on each input has its own.
    """

    def __init__(self, shared: _Record | None, record_rows: Callable[[], _Record]) -> None:
        self.shared = shared
        self.record_rows = record_rows
        self.record = shared or record_rows()
        self.count = 0

    def answer(self, call: Call) -> Any:
        """The call's value, its change from the reference shared by the rule of the function."""
        if self.shared is not None and not self.fits(call):
            self.shared = None
            self.record = self.record_rows()
        rule = "deep_lift: the model must take the same path for the baseline as for x"
        require(self.fits(call), rule, f"{call.name}()", WITHOUT_RULES)
        at_reference = self.record.calls[self.count]
        self.count += 1
        return NONLINEAR[call.name](call, at_reference)

    def fits(self, call: Call) -> bool:
        """Whether the next call on the reference is of the same function, on signals of the same shape."""
        if self.count >= len(self.record.calls):
            return False
        name, signals, _ = self.record.calls[self.count]
        own = call.of_signals().args
        if name != call.name or len(signals) != len(own):
            return False
        return all(_stands_for(z0.shape, z.shape) for z0, z in zip(signals, own, strict=True))

    def scores(self, target: Target) -> Scores:
        """Score of the reference of each input."""
        out = self.record.logits
        return target_logit(out.expand(len(target), -1), target)


def _stands_for(shape: torch.Size, now: torch.Size) -> bool:
    """Whether values of the first shape serve those of the second: all alike, or one row for all."""
    return shape == now or (shape[1:] == now[1:] and shape[:1] == (1,))


def _check_sum(shares: Attribution, change: Scores, logits: Logits) -> None:
    """Refuse shares that do not add up: the model contains what changes with x and hands nothing back, or rounds."""
    of_input = shares.flatten(1)
    gap = (of_input.sum(1) - change).abs()
    size = change.abs() + logits.abs().amax(1)
    # Each share is rounded: to 16 bits, where large shares cancel, that is more than a part of their sum.
    rounding = torch.finfo(shares.dtype).eps * of_input.abs().sum(1)
    adds_up = bool((gap <= _LARGEST_GAP * size + rounding).all())
    rule = "deep_lift: the shares must add up to the change of the score; rounding, or a part of the model, keeps some"
    require(adds_up, rule, f"{float(gap.max()):.2g} missing of {float(change.abs().max()):.2g}", WITHOUT_RULES)
