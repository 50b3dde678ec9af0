"""Run a model so that chosen torch functions hand back what a rule says instead of their gradient.

Rules belong to functions, not to modules: `F.relu` in the middle of a forward method, `out += shortcut`, an
in-place ReLU and a module that is used twice are seen like everything else. What cannot be seen is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xnb.access.attention_capture import WRITTEN_OUT, write_out
from xnb.access.marks import TensorTable
from xnb.check import refuse, require
from xnb.types import Batch, Logits, Model

WITHOUT_RULES = "xnb.attribute(model, x, target, 'integrated_gradients')"
# Move values without changing them, so that what is handed back is moved the same way.
STRUCTURE = set(
    "view reshape flatten unflatten permute transpose swapaxes movedim t contiguous squeeze unsqueeze expand "
    "expand_as __getitem__ narrow select chunk split split_with_sizes unbind cat concat stack clone pad flip roll "
    "identity dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout to type_as".split()
)


@dataclass(slots=True)
class TensorMark:
    """What one pass under rules knows of a tensor that it met.

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


@dataclass(frozen=True)
class Call:
    """One call of a torch function on tensors that came from the input."""

    name: str
    function: Callable
    args: tuple
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    known: Tensor | None = None  # its value, where it has been computed already
    summed: Tensor | None = None  # the same on the graph, as what the `count_inputs_as` first argument adds up to
    marks: TensorTable[TensorMark] = field(default_factory=TensorTable, repr=False)  # of the pass it belongs to

    def value(self) -> Tensor:
        """What the call returns, without a graph."""
        if self.known is not None:
            return self.known
        with torch.no_grad():
            return self.on()

    def traced(self, value: object) -> bool:
        """Whether a value came from the input, rather than from weights and constants."""
        mark = self.marks.get(value)
        return mark is not None and mark.traced

    def is_positive(self, value: Tensor) -> bool:
        """Whether a value is known to have no negative entry; False says nothing."""
        mark = self.marks.get(value)
        return mark is not None and mark.positive

    def mark_positive(self, value: Tensor) -> None:
        """Say that a value has no negative entry, so that no one needs to look."""
        mark_of(self.marks, value).positive = True

    def pending(self, value: Tensor) -> "Call | None":
        """The call that made a value, if its rule still waits for what comes next."""
        mark = self.marks.get(value)
        return None if mark is None else mark.pending

    def on(self, *args: object) -> Any:
        """The same call with its first arguments replaced."""
        return self.function(*args, *self.args[len(args) :], **self.kwargs)


Rule = Callable[[Call], Any]  # the call's value, on whatever graph the rule wants backward to follow
Rules = Mapping[str, Rule]  # by function name, without the underscore of an in-place form


class ReplacedGradient(torch.autograd.Function):
    """`value` forward; backward, what arrives goes to each carrier times its factor."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *carriers_and_factors: Tensor | None) -> Tensor:
        ctx.save_for_backward(*carriers_and_factors[1::2])
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor | None, ...]:
        pairs = ((arriving if factor is None else arriving * factor, None) for factor in ctx.saved_tensors)
        return None, *(entry for pair in pairs for entry in pair)


def replace_gradient(value: Tensor, carrier: Tensor, factor: Tensor | None = None) -> Tensor:
    """`value`, whose relevance goes to `carrier` times `factor`."""
    return ReplacedGradient.apply(value.detach(), carrier, None if factor is None else factor.detach())


class _Counted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, amounts: Tensor) -> Tensor:
        ctx.save_for_backward(amounts)
        return amounts.view_as(amounts)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor, None]:
        return arriving.mul_(*ctx.saved_tensors), None


def count_inputs_as(x: Tensor, amounts: Tensor | None = None) -> Tensor:
    """`amounts` in place of x (itself if omitted), which backward multiplies what arrives by: a slope becomes a share.

    In place: only for functions whose backward step makes something new, as those with weights do.
    """
    return _Counted.apply(x, x.detach() if amounts is None else amounts)


class _OnlyPositive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, own: bool) -> Tensor:
        ctx.own = own
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor, None]:
        return (arriving.clamp_min_(0) if ctx.own else arriving.clamp_min(0)), None


def keep_positive_gradient(value: Tensor, *, own: bool = False) -> Tensor:
    """`value`, which hands back only what is positive of what arrives; in place if that is its `own`, no one else's."""
    return _OnlyPositive.apply(value, own)


def keep_gradient(call: Call) -> Any:
    """The function as it is, with its own gradient."""
    return call.on()


def apply_rules(
    model: Model, rules: Rules, *, who: str, others: Rule | None = None, pending: frozenset[str] = frozenset()
) -> Model:
    """The same function of its input, whose backward pass follows `rules`.

    Args:
        rules: rule for each function name; a function without one is refused, unless
        others: is given, the rule for the rest.
        who: the method, for the error messages.
        pending: functions whose rule waits for the next call, as a batch norm may follow and be folded in.

    Raises:
        ValueError: when called, if a function has no rule, or if part of the model cannot be seen.
    """

    def run(x: Batch) -> Logits:
        mode = _Rewired({**dict.fromkeys(STRUCTURE, keep_gradient), **rules}, who, others, pending)
        try:
            mode.mark(x, traced=True)
            with mode:
                out = model(x)
            if isinstance(out, Tensor):
                mode.check(out)
            return mode.settled(out)
        finally:
            mode.marks.clear()  # calls refer to the table and its marks to calls

    return run


class _Rewired(TorchFunctionMode):
    """Knows of every tensor that it meets whether it came from the input, in `marks`."""

    def __init__(self, rules: Rules, who: str, others: Rule | None, pending: frozenset[str]) -> None:
        super().__init__()
        self.rules = rules
        self.who = who
        self.others = others
        self.pending = pending
        self.marks: TensorTable[TensorMark] = TensorTable()

    def __torch_function__(self, function: Callable, types: object, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        traced = False
        for tensor in _tensors((*args, *kwargs.values())):
            traced |= self.check(tensor)
        if traced:
            return self.answer(function, function.__name__, args, kwargs)
        result = function(*args, **kwargs)
        for tensor in _tensors(result):
            self.mark(tensor, traced=False)
        return result

    def answer(self, function: Callable, name: str, args: tuple, kwargs: dict) -> Any:
        if name in WRITTEN_OUT and "softmax" in self.rules:
            with self:  # step by step, each step by its rule
                return write_out(name, args, kwargs)[0]
        name, function, kwargs = self.out_of_place(name, function, args, kwargs)
        if name not in self.rules and self.others is None:
            return self.asked(name, function(*args, **kwargs))
        if self.pending and not (name == "batch_norm" and self.waits(args[0])):
            args = tuple(map(self.settled, args))
        call = Call(name, function, args, kwargs, marks=self.marks)
        result = self.wait(call) if name in self.pending else self.rules.get(name, self.others)(call)
        for tensor in _tensors(result):
            # what a rule hands nothing through is a constant from now on
            self.mark(tensor, traced=tensor.requires_grad or not torch.is_grad_enabled())
        return result

    def mark(self, tensor: Tensor, *, traced: bool) -> None:
        mark = mark_of(self.marks, tensor)
        mark.traced = traced
        mark.made_by = tensor.grad_fn

    def check(self, tensor: Tensor) -> bool:
        """Whether a tensor came from the input; refuse one made out of sight, or overwritten in place."""
        mark = self.marks.get(tensor)
        if tensor.grad_fn is not (None if mark is None else mark.made_by):
            maker = f"a {type(tensor.grad_fn).__name__}"
            rule = f"{self.who}: every function of the model must be seen"
            refuse(rule, maker, "model = compiled_model._orig_mod")
        if mark is None:
            return False
        if mark.overwritten:
            rule = f"{self.who}: a tensor may not be used after it was overwritten in place"
            refuse(rule, tensor, "inplace=False")
        return mark.traced

    def out_of_place(self, name: str, function: Callable, args: tuple, kwargs: dict) -> tuple[str, Callable, dict]:
        """The form that leaves its input alone; the input counts as overwritten from now on."""
        in_place = name.endswith("_") and not name.endswith("__")
        if in_place:
            name = name.removesuffix("_")
            function = getattr(torch.Tensor, name)
        if in_place or kwargs.get("inplace"):
            mark_of(self.marks, args[0]).overwritten = True
        return name, function, {**kwargs, "inplace": False} if kwargs.get("inplace") else kwargs

    def asked(self, name: str, result: Any) -> Any:
        """A size or a type may be asked for; a tensor without a rule may not be made."""
        require(
            not _tensors(result), f"{self.who}: every function of the model needs a rule", f"{name}()", WITHOUT_RULES
        )
        return result

    def wait(self, call: Call) -> Tensor:
        value = call.on(count_inputs_as(call.args[0]))
        mark_of(self.marks, value).pending = call
        return value

    def waits(self, value: object) -> bool:
        mark = self.marks.get(value)
        return mark is not None and mark.pending is not None

    def settled(self, value: Any) -> Any:
        """A tensor whose rule no longer waits; a list, as `cat` takes it, entry by entry."""
        if isinstance(value, list | tuple):
            return type(value)(map(self.settled, value)) if any(map(self.waits, value)) else value
        mark = self.marks.get(value)
        if mark is None or mark.pending is None:
            return value
        if mark.settled is None:
            # only here: the call may not hold its own value, which would then live as long as the pass
            call = replace(mark.pending, known=value.detach(), summed=value)
            mark.settled = self.rules[call.name](call)
            self.mark(mark.settled, traced=True)
        return mark.settled


def mark_of(marks: TensorTable[TensorMark], tensor: Tensor) -> TensorMark:
    """The mark of a tensor, an empty one if it has none yet."""
    return marks.get(tensor) or marks.put(tensor, TensorMark())


def _tensors(values: object) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    nested = values if isinstance(values, list | tuple) else ()
    return [tensor for value in nested for tensor in ([value] if isinstance(value, Tensor) else _tensors(value))]
