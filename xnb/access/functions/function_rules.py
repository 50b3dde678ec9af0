"""Run a model so that torch functions hand back what a rule says instead of their gradient.

Rules belong to functions, not to modules: `F.relu` in the middle of a forward method, `out += shortcut`, an
in-place ReLU and a module that is used twice are seen like everything else. What cannot be seen is refused.

A function without tensors from the input runs as it is. One with them becomes a `Call`, and the rule of its name
returns its value, on whatever graph the rule wants backward to follow. What the pass must know of tensors stands in
a table of its own (`traced_call.TensorMark`), never on the tensors, which may be the user's.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import disable_saved_tensors_hooks
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from xnb.access.attention.attention_capture import WRITTEN_OUT, write_out
from xnb.access.functions.backward_steps import count_inputs_as
from xnb.access.functions.call_places import describe_call, describe_maker, find_running_module, take_out_softmax
from xnb.access.functions.function_kinds import CONSTANTS, MOVES, name_function, order_arguments
from xnb.access.functions.traced_call import Call, Marks, Place, Rule, Rules, TensorMark, list_tensors
from xnb.access.functions.written_out import HIDES_RELU, WRITTEN_OUT_FUNCTIONS
from xnb.access.marks import share_memory
from xnb.access.rows import select_rows
from xnb.access.score import GradientPass, chunk_gradient
from xnb.access.way_out import OtherMethod
from xnb.check import refuse, require
from xnb.types import Batch, Logits, Model, Target

_CHECKPOINT = "a part under torch.utils.checkpoint"
WITHOUT_RULES = "xnb.attribute(model, x, target, 'integrated_gradients')"


def apply_rules(
    model: Model,
    rules: Rules,
    *,
    who: str,
    others: Rule | None = None,
    pending: frozenset[str] = frozenset(),
    suggest: Callable[[Call], str] = lambda call: WITHOUT_RULES,
) -> Model:
    """The same function of its input, whose backward pass follows `rules`.

    Args:
        rules: rule for each function name; a function without one is refused, unless
        others: is the rule for the rest.
        who: the method, for the error messages.
        pending: functions whose rule waits for the next call, as a batch norm may follow and be folded in.
        suggest: the line to paste where a function has no rule.

    Raises:
        ValueError: when called, if a function has no rule, or if part of the model cannot be seen.
    """
    table = {**dict.fromkeys(MOVES, _move), **rules}

    def run(x: Batch) -> Logits:
        mode = _RuleMode(model, table, who, others, pending, suggest)
        mode.start = x.grad_fn
        try:
            mode.mark(x, traced=True)
            with OtherMethod(model, x):
                with mode:
                    out = model(x)
                if isinstance(out, Tensor):
                    mode.check_output(out)
                return mode.settle(out)
        finally:
            mode.marks.clear()  # marks refer to calls and calls to the table: it would wait for the garbage collector

    return run


def _move(call: Call) -> Any:
    """Values that only move keep what is known of all of them."""
    result = call.run()
    moved = call.args[:1] if call.name.endswith("_as") else call.signals()  # the other one lends its shape only
    if isinstance(result, Tensor) and all(map(call.is_gate, moved)):
        call.mark_gate(result)
    return result


def rule_gradient(surrogate: Model, x: Batch, target: Target, rows: slice, who: str) -> GradientPass:
    """`score.chunk_gradient` of some rows of x, by the rules of a model that `apply_rules` gave."""
    with _NoCheckpoint(who), disable_saved_tensors_hooks(_CHECKPOINT), select_rows(rows, len(x)):
        return chunk_gradient(surrogate, x[rows], target[rows])


class _NoCheckpoint:
    """Around a pass: a checkpoint, whose part runs again where no rule is seen, is refused in own words."""

    def __init__(self, who: str) -> None:
        self.who = who

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if _CHECKPOINT in str(error):
            refuse(f"{self.who}: every function of the model must be seen", _CHECKPOINT, WITHOUT_RULES)


class _RuleMode(TorchFunctionMode):
    """Sees every torch function of one pass, and has those answered by rules that take tensors from the input."""

    def __init__(
        self,
        model: Model,
        rules: Rules,
        who: str,
        others: Rule | None,
        pending: frozenset[str],
        suggest: Callable[[Call], str],
    ) -> None:
        super().__init__()
        self.model = model
        self.rules = rules
        self.who = who
        self.others = others
        self.pending = pending
        self.suggest = suggest
        self.marks = Marks()
        self.start: Any = None  # the node of the graph that made the input, before all others of this pass
        self.stopped: Place | None = None  # the last function that handed nothing through

    def __torch_function__(self, function: Callable, types: object, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        marks = [self.read_mark(tensor) for tensor in list_tensors((*args, *kwargs.values()))]
        if any(mark.traced for mark in marks):
            return self.answer(function, name_function(function), *order_arguments(args, kwargs))
        result = function(*args, **kwargs)
        for tensor in list_tensors(result):
            self.mark(tensor, traced=False)
        if function.__name__.endswith("_") and args and isinstance(args[0], Tensor):
            self.refresh_marks(args[0])
        return result

    def refresh_marks(self, written: Tensor) -> None:
        """A constant was written into: it, and what is seen through its views, has another node of the graph now."""
        for other in self.marks.tensors():
            if not self.marks.find(other).traced and share_memory(written, other):
                self.mark(other, traced=False)

    def mark(self, tensor: Tensor, *, traced: bool) -> None:
        """Enter a tensor as it is now."""
        mark = self.marks.find_or_add(tensor)
        mark.traced = traced
        mark.made_by = tensor.grad_fn

    def read_mark(self, tensor: Tensor) -> TensorMark:
        """The mark of a tensor, unless it was made where no function can be seen, or overwritten in place."""
        mark = self.marks.find(tensor)
        if tensor.grad_fn is not mark.made_by and not self.is_left_over(tensor):
            maker, hint = describe_maker(self.model, tensor)
            refuse(f"{self.who}: every function of the model must be seen", maker, hint or WITHOUT_RULES)
        if mark.overwritten:
            rule = f"{self.who}: a tensor may not be used after it was overwritten in place"
            refuse(rule, describe_call(self.model, *mark.overwritten), WITHOUT_RULES)
        return mark

    def is_left_over(self, tensor: Tensor) -> bool:
        """Whether a tensor has the graph of an earlier pass, as memory of the model keeps it: here it is a constant."""
        if tensor.grad_fn is None:
            return False
        if self.start is None:
            return not torch.is_grad_enabled()  # then no function of this pass has made a graph
        # autograd numbers its nodes in the order in which they are made
        return tensor.grad_fn._sequence_nr() < self.start._sequence_nr()

    def check_output(self, out: Tensor) -> None:
        """Refuse an output to which no function hands anything through."""
        lost = torch.is_grad_enabled() and not self.read_mark(out).traced
        if lost and self.stopped is not None:
            rule = f"{self.who}: the model must end in logits, and its last functions hand nothing back"
            hint = take_out_softmax(self.model, self.stopped[1]) or WITHOUT_RULES
            refuse(rule, describe_call(self.model, *self.stopped), hint)

    def answer(self, function: Callable, name: str, args: tuple, kwargs: dict) -> Any:
        """What a function with a tensor from the input returns, by its rule."""
        original: Any = args[0] if args else None
        name, function, kwargs, in_place = _put_out_of_place(name, function, kwargs)
        smaller = self.find_smaller(name)
        if name == "__setitem__":
            return self.write_into(*args)
        if name in CONSTANTS:
            result = function(*args, **kwargs)
            for tensor in list_tensors(result):
                self.mark(tensor, traced=False)
        elif smaller is not None:
            with self:  # step by step, each step by its rule
                result = smaller(*args, **kwargs)
        else:
            result = self.follow_rule(name, function, args, kwargs)
        # dropout that is off returns what it was given
        if in_place and not ("dropout" in name and share_memory(original, result)):
            self.mark_overwritten(original, name)
        return result

    def write_into(self, tensor: Tensor, place: Any, values: Any) -> None:
        """`tensor[place] = values`, where the tensor is memory without a signal so far."""
        rule = f"{self.who}: a tensor that came from x may not be written into"
        here = describe_call(self.model, "__setitem__", find_running_module())
        require(not self.marks.find(tensor).traced, rule, here, WITHOUT_RULES)
        tensor[place] = self.settle(values)
        self.mark(tensor, traced=True)

    def find_smaller(self, name: str) -> Callable | None:
        """A function written out in smaller ones, if only they have rules."""
        if name in WRITTEN_OUT and "softmax" in self.rules:
            return lambda *args, **kwargs: write_out(name, args, kwargs)[0]
        without_rule = name not in self.rules and self.others is None
        return WRITTEN_OUT_FUNCTIONS.get(name) if without_rule or name in HIDES_RELU else None

    def follow_rule(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
        """What the rule of a function returns."""
        rule = self.rules.get(name) or self.others
        if rule is None:
            return self.refuse_tensor(Call(name, function, args, kwargs, marks=self.marks))
        folds = name == "batch_norm" and _channels_are_outputs(self.marks.find(args[0]).pending, args[0])
        if self.pending and not folds:  # a rule waited for a batch norm that could be folded into its layer
            args = tuple(map(self.settle, args))
            kwargs = {key: self.settle(value) for key, value in kwargs.items()}
        call = Call(name, function, args, kwargs, marks=self.marks)
        result = self.postpone_rule(call) if name in self.pending else rule(call)
        self.mark_results(name, result)
        return result

    def mark_results(self, name: str, result: Any) -> None:
        """Enter what a rule returned; what it hands nothing through is a constant from now on."""
        for tensor in list_tensors(result):
            handed = tensor.requires_grad or (not torch.is_grad_enabled() and tensor.is_floating_point())
            self.mark(tensor, traced=handed)
            if not handed and tensor.is_floating_point():
                self.stopped = name, find_running_module()

    def mark_overwritten(self, tensor: Tensor, name: str) -> None:
        """A function should have written into a tensor: neither it nor what shares its memory may be read any more."""
        place = name, find_running_module()
        self.marks.find_or_add(tensor).overwritten = place
        for other in self.marks.tensors():
            if other is not tensor and share_memory(tensor, other):
                self.marks.find_or_add(other).overwritten = place

    def refuse_tensor(self, call: Call) -> Any:
        """What a function without a rule returns, if that is no tensor: a size or a type may be asked for."""
        result = call.run()
        if list_tensors(result):
            module = find_running_module()
            hint = take_out_softmax(self.model, module) or self.suggest(call)
            rule = f"{self.who}: every function of the model needs a rule"
            refuse(rule, describe_call(self.model, call.name, module), hint)
        return result

    def postpone_rule(self, call: Call) -> Tensor:
        """The call's value for now; its rule comes with the next function, which may be a batch norm."""
        several = len(call.signals()) > 1
        rule = f"{self.who}: the weights of a layer may not come from x"
        require(not several, rule, f"{call.name}() with weights from x", WITHOUT_RULES)
        value = call.run(count_inputs_as(call.args[0]))
        self.marks.find_or_add(value).pending = call
        return value

    def settle(self, value: Any) -> Any:
        """A tensor whose rule no longer waits; a list, as `cat` takes it, entry by entry."""
        if isinstance(value, list | tuple):
            waits = any(self.marks.find(entry).pending is not None for entry in value)
            return type(value)(map(self.settle, value)) if waits else value
        mark = self.marks.find(value)
        if mark.pending is None:
            return value
        if mark.settled is None:
            # known only from here: a pending call that held its own value would keep it to the end of the pass
            call = replace(mark.pending, known=value.detach(), summed=value)
            mark.settled = self.rules[call.name](call)
            self.mark(mark.settled, traced=True)
        return mark.settled


def _channels_are_outputs(before: Call | None, value: Tensor) -> bool:
    """Whether axis 1 of a value, which a batch norm takes, holds what each row of a layer's weight gave."""
    if before is None:
        return False
    weight = before.args[1] if len(before.args) > 1 else before.kwargs["weight"]
    return value.ndim == weight.ndim


def _put_out_of_place(name: str, function: Callable, kwargs: dict) -> tuple[str, Callable, dict, bool]:
    """The form that leaves its input alone, and whether the one asked for would not have."""
    in_place = bool(kwargs.get("inplace"))
    if in_place:
        kwargs = {**kwargs, "inplace": False}
    if name.endswith("_") and not name.endswith("__"):
        plain = getattr(torch.Tensor, name[:-1], None) or getattr(F, name[:-1], None)
        if callable(plain):  # requires_grad_ has no other form, zero_ and copy_ have none of a signal
            return name[:-1], plain, kwargs, True
    return name, function, kwargs, in_place
