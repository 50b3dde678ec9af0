"""DeepLIFT: differences from a reference input, followed through the network."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.chunking import chunks, join_chunks
from xnb.access.copies import copy_module
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
    cost="2 F + B, shared baseline F + B",
    axioms=("complete", "linear", "dummy"),
    paper="Shrikumar et al. 2017, arXiv:1704.02685",
)
def deep_lift(
    model: Model, x: Batch, target: Target, *, baseline: Baseline = 0.0, chunk: int | None = None
) -> Attribution:
    r"""Share of each input value in the change of score from `baseline` to `x`, by the rescale rule. Unit: score.

    .. math:: a = (x - b) \odot m, \qquad m_{\mathrm{in}} = m_{\mathrm{out}}\,\frac{g(z) - g(z^b)}{z - z^b}

    Here :math:`z` enters an elementwise function :math:`g`, :math:`z^b` does for the baseline, and :math:`m` is handed
    back in place of a gradient, from 1 at the score. In place of the gradient of an elementwise function `g` stands its
    average slope between the two activations. A product of two signals, as in attention, a gate or the deviation of a
    layer norm, moves by the change of each times the mean of the other; what a maximum gained goes to its place now,
    what it lost to its place before. So `a` adds up to :math:`f(x) - f(b)` exactly, in one pass; where rounding keeps
    them from it, a copy of the model in double precision answers. The answer belongs to the baseline, and to how the
    network is written: two networks that compute the same function may differ. The rules stand in `deep_lift_rules`.

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
    shares, sums = _share_change(model, x, target, start, chunk)
    if not sums.add_up(rounding=False):
        # In double precision it shows whether a part of the model keeps something, or rounding did.
        exact = _share_in_double(model, x, target, start, chunk)
        shares, sums = exact or (shares, sums)
        sums.check()
    return shares.to(x.dtype)


def _share_change(
    model: Model, x: Batch, target: Target, start: Batch, chunk: int | None
) -> tuple[Attribution, "_Sums"]:
    """The share of each value in the change of score, and what the shares of each input add up to."""
    # A reference that all inputs share, one row or number expanded, is run once and not with every chunk.
    shared = start.stride(0) == 0
    common = _record_shared(model, start) if shared and len(x) > 1 else None
    parts = []
    sums = [(x.new_empty(0),) * len(_Sums._fields)]
    # Where one baseline serves all inputs its pass is recorded once, unless a chunk shows that it does not.
    for rows in chunks(x, chunk):
        reference = _Reference(common, partial(_record_rows, model, start, rows))
        surrogate = apply_rules(model, build_table(reference.answer), who="deep_lift")
        result = rule_gradient(surrogate, x, target, rows, "deep_lift")
        part = (x[rows] - start[rows]) * result.gradient
        change = target_logit(result.logits, target[rows]) - reference.scores(target[rows])
        parts.append(part.detach())
        sums.append(_add_shares(part.detach(), change, result.logits))
        common = reference.shared
    return join_chunks(parts, x), _Sums(*map(torch.cat, zip(*sums, strict=True)))


def _share_in_double(
    model: Model, x: Batch, target: Target, start: Batch, chunk: int | None
) -> tuple[Attribution, "_Sums"] | None:
    """The same by a copy of the model in double precision; None where there can be none, or it is the model itself."""
    if x.dtype == torch.double or not isinstance(model, nn.Module):
        return None
    # one row expanded stays one row
    exact = start[:1].double().expand_as(x) if start.stride(0) == 0 else start.double()
    try:
        return _share_change(copy_module(model).double(), x.double(), target, exact, chunk)
    except (RuntimeError, ValueError, TypeError):  # it cannot be copied, or wants its own precision
        return None


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
    """Run the reference and keep every call of it, in the order in which the calls of the input will run."""
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


class _Sums(NamedTuple):
    """What the shares of each input add up to.

    Attributes:
        missing: of the change of score.
        change: of the score.
        size: of the score and its change, beside which a gap is small or large.
        rounding: of the shares: to 16 bits, where large ones cancel, it is more than a part of their sum.
    """

    missing: Scores
    change: Scores
    size: Scores
    rounding: Scores

    def add_up(self, *, rounding: bool) -> bool:
        """Whether no more is missing than a small part, or than the shares' rounding explains."""
        allowed = _LARGEST_GAP * self.size + (self.rounding if rounding else 0)
        return bool((self.missing <= allowed).all())

    def check(self) -> None:
        """Refuse shares that do not add up: a part of the model changes with x and hands nothing back, or rounds."""
        rule = (
            "deep_lift: the shares must add up to the change of the score; a part of the model, or rounding, keeps some"
        )
        got = f"{float(self.missing.max()):.2g} missing of {float(self.change.abs().max()):.2g}"
        require(self.add_up(rounding=True), rule, got, WITHOUT_RULES)


def _add_shares(shares: Attribution, change: Scores, logits: Logits) -> tuple[Scores, ...]:
    """The fields of `_Sums`."""
    of_input = shares.flatten(1)
    rounding = torch.finfo(shares.dtype).eps * of_input.abs().sum(1)
    return (of_input.sum(1) - change).abs(), change, change.abs() + logits.abs().amax(1), rounding
