"""Run a model so that torch functions hand back what a rule says instead of their gradient.

Rules belong to functions, not to modules: `F.relu` in the middle of a forward method, `out += shortcut`, an
in-place ReLU and a module that is used twice are seen like everything else. What cannot be seen is refused.

A function without tensors from the input runs as it is. One with them becomes a `Call`, and the rule of its name
returns its value, on whatever graph the rule wants backward to follow. What the pass must know of tensors stands in
a table of its own (`_TensorMark`), never on the tensors, which may be the user's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xnb.access.attention_capture import WRITTEN_OUT, write_out
from xnb.access.backward_steps import count_inputs_as
from xnb.access.marks import TensorTable
from xnb.check import refuse
from xnb.types import Batch, Logits, Model

WITHOUT_RULES = "xnb.attribute(model, x, target, 'integrated_gradients')"
# Functions that move values without changing them: their own gradient moves what is handed back the same way.
_STRUCTURE = set(
    "view reshape flatten unflatten permute transpose swapaxes movedim t contiguous squeeze unsqueeze expand "
    "expand_as __getitem__ narrow select chunk split split_with_sizes unbind cat concat stack clone pad flip roll "
    "identity dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout to type_as".split()
)


@dataclass(slots=True)
class _TensorMark:
    """What one pass under rules knows of a tensor that it met.

    The pass marks what a function returns (`traced`, `made_by`), what should have been written into (`overwritten`)
    and what a function with weights returned whose rule waits (`pending`, `settled`). Rules mark `positive`.

    Attributes:
        traced: the tensor came from the input, not from weights and constants alone.
        made_by: its `grad_fn` when it was last returned; with another one it was made where nothing can be seen.
        overwritten: a function should have written into it in place and did not, so nothing may read it any more.
        positive: it is known to have no negative value.
        pending: the call that made it, if its rule waits for what comes next, as a batch norm may be folded in.
        settled: what the rule of `pending` returned when something else came next, the same for every later use.
    """

    traced: bool = False
    made_by: object = None
    overwritten: bool = False
    positive: bool = False
    pending: "Call | None" = None
    settled: Tensor | None = None


class _Marks(TensorTable[_TensorMark]):
    """Marks of all tensors of one pass; a tensor that was never met has an empty one."""

    def find(self, tensor: object) -> _TensorMark:
        """The mark of a tensor, to be read."""
        return self.get(tensor) or _NO_MARK

    def find_or_add(self, tensor: Tensor) -> _TensorMark:
        """The mark of a tensor, to be written."""
        return self.get(tensor) or self.put(tensor, _TensorMark())


_NO_MARK = _TensorMark()


@dataclass(frozen=True)
class Call:
    """One call of a torch function on tensors that came from the input.

    Attributes:
        known: its value, where it has been computed already.
        summed: its value on the graph, as a sum over what `count_inputs_as` made of its first argument.
        marks: what the pass that it belongs to knows of tensors.
    """

    name: str
    function: Callable
    args: tuple
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    known: Tensor | None = None
    summed: Tensor | None = None
    marks: _Marks = field(default_factory=_Marks, repr=False)

    def value(self) -> Tensor:
        """What the call returns, without a graph."""
        if self.known is not None:
            return self.known
        with torch.no_grad():
            return self.run()

    def run(self, *args: object) -> Any:
        """Run the function on its arguments, the first ones replaced by `args`; with a graph where one is wanted."""
        return self.function(*args, *self.args[len(args) :], **self.kwargs)

    def traced(self, value: object) -> bool:
        """Whether a value came from the input, rather than from weights and constants."""
        return self.marks.find(value).traced

    def is_positive(self, value: Tensor) -> bool:
        """Whether a value is known to have no negative entry; False says nothing."""
        return self.marks.find(value).positive

    def mark_positive(self, value: Tensor) -> None:
        """Say that a value has no negative entry, so that no one needs to look."""
        self.marks.find_or_add(value).positive = True

    def pending(self, value: Tensor) -> "Call | None":
        """The call that made a value, if its rule still waits for what comes next."""
        return self.marks.find(value).pending


Rule = Callable[[Call], Any]  # the call's value, on whatever graph the rule wants backward to follow
Rules = Mapping[str, Rule]  # by function name, without the underscore of an in-place form


def keep_gradient(call: Call) -> Any:
    """The function as it is, with its own gradient."""
    return call.run()


def apply_rules(
    model: Model, rules: Rules, *, who: str, others: Rule | None = None, pending: frozenset[str] = frozenset()
) -> Model:
    """The same function of its input, whose backward pass follows `rules`.

    Args:
        rules: rule for each function name; a function without one is refused, unless
        others: is the rule for the rest.
        who: the method, for the error messages.
        pending: functions whose rule waits for the next call, as a batch norm may follow and be folded in.

    Raises:
        ValueError: when called, if a function has no rule, or if part of the model cannot be seen.
    """
    table = {**dict.fromkeys(_STRUCTURE, keep_gradient), **rules}

    def run(x: Batch) -> Logits:
        mode = _RuleMode(table, who, others, pending)
        mode.start = x.grad_fn
        try:
            mode.mark(x, traced=True)
            with mode:
                out = model(x)
            if isinstance(out, Tensor):
                mode.read_mark(out)
            return mode.settle(out)
        finally:
            mode.marks.clear()  # marks refer to calls and calls to the table: it would wait for the garbage collector

    return run


class _RuleMode(TorchFunctionMode):
    """Sees every torch function of one pass, and has those answered by rules that take tensors from the input."""

    def __init__(self, rules: Rules, who: str, others: Rule | None, pending: frozenset[str]) -> None:
        super().__init__()
        self.rules = rules
        self.who = who
        self.others = others
        self.pending = pending
        self.marks = _Marks()
        self.start: Any = None  # the node of the graph that made the input, before all others of this pass

    def __torch_function__(self, function: Callable, types: object, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        traced = False
        for tensor in _list_tensors((*args, *kwargs.values())):
            traced |= self.read_mark(tensor).traced
        if traced:
            return self.answer(function, function.__name__, args, kwargs)
        result = function(*args, **kwargs)
        for tensor in _list_tensors(result):
            self.mark(tensor, traced=False)
        return result

    def mark(self, tensor: Tensor, *, traced: bool) -> None:
        """Enter a tensor as it is now."""
        mark = self.marks.find_or_add(tensor)
        mark.traced = traced
        mark.made_by = tensor.grad_fn

    def read_mark(self, tensor: Tensor) -> _TensorMark:
        """The mark of a tensor, unless it was made where no function can be seen, or overwritten in place."""
        mark = self.marks.find(tensor)
        if tensor.grad_fn is not mark.made_by and not self.is_left_over(tensor):
            maker = f"a {type(tensor.grad_fn).__name__}"
            rule = f"{self.who}: every function of the model must be seen"
            refuse(rule, maker, "model = compiled_model._orig_mod")
        if mark.overwritten:
            rule = f"{self.who}: a tensor may not be used after it was overwritten in place"
            refuse(rule, tensor, "inplace=False")
        return mark

    def is_left_over(self, tensor: Tensor) -> bool:
        """Whether a tensor has the graph of an earlier pass, as memory of the model keeps it: here it is a constant."""
        if tensor.grad_fn is None:
            return False
        if self.start is None:
            return not torch.is_grad_enabled()  # then no function of this pass has made a graph
        # autograd numbers its nodes in the order in which they are made
        return tensor.grad_fn._sequence_nr() < self.start._sequence_nr()

    def answer(self, function: Callable, name: str, args: tuple, kwargs: dict) -> Any:
        """What a function with a tensor from the input returns, by its rule."""
        if name in WRITTEN_OUT and "softmax" in self.rules:
            with self:  # step by step, each step by its rule
                return write_out(name, args, kwargs)[0]
        name, function, kwargs = self.put_out_of_place(name, function, args, kwargs)
        if name not in self.rules and self.others is None:
            result = function(*args, **kwargs)
            self.check_no_tensor(name, result)
            return result
        folds = name == "batch_norm" and self.marks.find(args[0]).pending is not None
        if self.pending and not folds:
            args = tuple(map(self.settle, args))
        call = Call(name, function, args, kwargs, marks=self.marks)
        if name in self.pending:
            result = self.postpone_rule(call)
        else:
            rule = self.rules.get(name) or self.others or keep_gradient
            result = rule(call)
        for tensor in _list_tensors(result):
            # what a rule hands nothing through is a constant from now on
            self.mark(tensor, traced=tensor.requires_grad or not torch.is_grad_enabled())
        return result

    def put_out_of_place(self, name: str, function: Callable, args: tuple, kwargs: dict) -> tuple[str, Callable, dict]:
        """The form that leaves its input alone; the input counts as overwritten from now on."""
        in_place = name.endswith("_") and not name.endswith("__")
        if in_place:
            name = name.removesuffix("_")
            function = getattr(torch.Tensor, name)
        if kwargs.get("inplace"):
            in_place = True
            kwargs = {**kwargs, "inplace": False}
        if in_place:
            self.marks.find_or_add(args[0]).overwritten = True
        return name, function, kwargs

    def check_no_tensor(self, name: str, result: Any) -> None:
        """Refuse a tensor that a function without a rule made; a size or a type may be asked for."""
        if _list_tensors(result):
            refuse(f"{self.who}: every function of the model needs a rule", f"{name}()", WITHOUT_RULES)

    def postpone_rule(self, call: Call) -> Tensor:
        """The call's value for now; its rule comes with the next function, which may be a batch norm."""
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


def _list_tensors(values: object) -> list[Tensor]:
    """All tensors in a value, also in nested lists and tuples."""
    if isinstance(values, Tensor):
        return [values]
    tensors: list[Tensor] = []
    for value in values if isinstance(values, list | tuple) else ():
        tensors.extend([value] if isinstance(value, Tensor) else _list_tensors(value))
    return tensors
