"""The package's two main calls: the attribution of one class by any method, and of every class at once."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xnb.access.inputs import read_input, read_tensor, refuse_model
from xnb.access.ledger import collect_notes
from xnb.access.model_call import ExplainedFailure, check_explainable
from xnb.access.rows import Numbered, number_rows, run_as, select_rows
from xnb.access.score import logits
from xnb.access.targets import read_target
from xnb.access.trials import run_first_changes
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import is_finite, require
from xnb.methods.promises import measure_promises, warn_if_broken
from xnb.methods.registry import METHODS
from xnb.progress import name_call
from xnb.registry import check_knobs
from xnb.types import Attribution, Batch, Logits, Model, Target, TargetLike

_WHICH = "model(x).isfinite()  # which; in half precision numbers soon overflow: model.double(), x.double()"


def attribute(
    model: Model | None,
    x: Batch,
    target: TargetLike,
    method: str = "integrated_gradients",
    **knobs: object,
) -> Attribution:
    """Explain `model`'s logit for `target` at `x`: the result times `x` is always defined.

    A map that does not keep what its method promises, by more than a tenth, gives one `xnb.check.PromiseWarning` with
    the number and the line that mends it: its sum is not the change of score, or not the score, or is less exact than
    was asked for. To tell takes two more forward passes with the methods that promise completeness, and none else.

    Args:
        model: a module, or a function of a batch; None for controls, which ask nothing of it.
        target: a class for each input, or one for all. A model of one logit z has two classes: z for 1, -z for 0.
        method: a name in `xnb.catalog()`.
        knobs: what the method itself takes, e.g. `steps=64`; `help(xnb.METHODS[name])` lists them.

    Raises:
        ValueError: unknown `method` or knob, `x` that is no finite tensor, a result that is not finite, or anything
            `xnb.access.score.score` refuses.
    """
    check_knobs(METHODS.find(method), knobs, method)
    if model is None and METHODS.cards[method].needs == "nothing":
        return _draw_control(x, target, method, knobs)
    if model is None:
        refuse_model(model, "attribute")
    x = read_input(model, x, "attribute")
    classes = read_target(target, x)
    if not x.is_floating_point():
        check_explainable(model, x)  # a control too would answer in whole numbers
    with collect_notes() as notes:
        result = run_method(model, x, classes, method, knobs)
        promises = measure_promises(model, x, classes, method, result, knobs, notes)
    warn_if_broken(method, promises, knobs)
    return result


def _draw_control(x: Batch, target: TargetLike, name: str, knobs: Mapping[str, Any]) -> Attribution:
    """The map of a method that asks nothing of a model, where there is none."""
    x = read_tensor(None, x, "attribute")
    return _require_finite(METHODS[name](None, x, read_target(target, x), **knobs), name)


def run_method(model: Model, x: Batch, target: Target, name: str, knobs: Mapping[str, Any]) -> Attribution:
    """The map of one method, known to be finite, of what `attribute` has checked."""
    if not len(x):
        return _explain_nothing(model, x, target, name, knobs)
    with ExplainedFailure(model, x), name_call(name):
        result = METHODS[name](model, x, target, **knobs).detach()
        if not is_finite(result):
            _refuse_infinite_logits(model, x, name)
    return _require_finite(result, name)


def _refuse_infinite_logits(model: Model, x: Batch, name: str) -> None:
    """Refuse a model that has no finite logits for some input: no method explains these."""
    finite = logits(model, x).isfinite().all(1)
    rule = f"{name}: the model's logits must be finite"
    require(bool(finite.all()), rule, f"NaN or infinity for inputs {(~finite).nonzero()[:, 0].tolist()}", _WHICH)


def _require_finite(result: Attribution, name: str) -> Attribution:
    require(is_finite(result), f"{name}: attribution must be finite", result, FORWARD_ONLY)
    return result


def _explain_nothing(model: Model, x: Batch, target: Target, name: str, knobs: Mapping[str, Any]) -> Attribution:
    """The map of no inputs, of the shape that maps have: a blank input is tried, and its row left out."""
    blank = x.new_zeros(1, *x.shape[1:])
    for_one = {knob: value for knob, value in knobs.items() if not (isinstance(value, Tensor) and value.numel() == 0)}
    itself = Numbered(torch.zeros(1, dtype=torch.long), 1)  # a batch of its own, whatever runs around it
    with run_first_changes(1), run_as(itself):
        return METHODS[name](model, blank, target.new_zeros(1), **for_one).detach()[:0]


def attribute_all(model: Model, x: Batch, method: str = "integrated_gradients", **knobs: object) -> Tensor:
    """The results of `attribute` for every class, from one call: `(B, K, *shape)`, or 1 on axes that values share.

    A method that only runs the model forward does so once for all classes, as every pass returns all logits: K classes
    then cost what one costs. A method of gradients runs K times as many inputs.

    Args:
        method: a name in `xnb.catalog()`.
        knobs: what the method itself takes.

    Raises:
        ValueError: as `attribute`.
    """
    check_knobs(METHODS.find(method), knobs, method)
    x = read_input(model, x, "attribute_all")
    with select_rows(slice(1), len(x)):
        classes = max(2, logits(model, x[:1]).shape[1])  # one logit speaks for class 1 and against class 0
    if METHODS.cards[method].needs == "forward":
        # The classes of an input are neighbours, so that a pass that holds several runs the input once.
        rows = torch.arange(len(x)).repeat_interleave(classes)
        target = torch.arange(classes, device=x.device).repeat(len(x))
        with select_rows(rows, len(x)):
            by_input = attribute(_skip_repeats(model), x[rows.to(x.device)], target, method, **knobs)
        return by_input.unflatten(0, (len(x), classes))
    rows = torch.arange(len(x)).repeat(classes)
    target = torch.arange(classes, device=x.device).repeat_interleave(len(x))
    with select_rows(rows, len(x)):
        by_class = attribute(model, x[rows.to(x.device)], target, method, **knobs)
    return by_class.unflatten(0, (classes, len(x))).transpose(0, 1)


def _skip_repeats(model: Model) -> Model:
    """The same function of its inputs, which runs equal neighbours of a batch only once, if they are one input."""

    def run(x: Batch) -> Logits:
        _, back = torch.unique_consecutive(x.flatten(1), dim=0, return_inverse=True)
        numbers = number_rows(slice(None), len(x)).numbers.to(x.device)
        first = torch.ones_like(back, dtype=torch.bool)
        first[1:] = (back[1:] != back[:-1]) | (numbers[1:] != numbers[:-1])
        with select_rows(first, len(x)):
            return model(x[first])[first.cumsum(0) - 1]

    return run
