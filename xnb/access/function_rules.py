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

from xnb.access.attention_capture import WRITTEN_OUT, written_out
from xnb.check import require
from xnb.types import Batch, Logits, Model

WITHOUT_RULES = "xnb.attribute(model, x, target, 'integrated_gradients')"
# Move values without changing them, so that what is handed back is moved the same way.
STRUCTURE = set(
    "view reshape flatten unflatten permute transpose swapaxes movedim t contiguous squeeze unsqueeze expand "
    "expand_as __getitem__ narrow select chunk split split_with_sizes unbind cat concat stack clone pad flip roll "
    "identity dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout to type_as".split()
)


@dataclass(frozen=True)
class Call:
    """One call of a torch function on tensors that came from the input."""

    name: str
    function: Callable
    args: tuple
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    known: Tensor | None = None  # its value, where it has been computed already
    summed: Tensor | None = None  # the same on the graph, as what the `counted` first argument adds up to

    def value(self) -> Tensor:
        """What the call returns, without a graph."""
        if self.known is not None:
            return self.known
        with torch.no_grad():
            return self.on()

    @staticmethod
    def traced(value: object) -> bool:
        """Whether a value came from the input, rather than from weights and constants."""
        return getattr(value, "_traced", False)

    def on(self, *args: object) -> Any:
        """The same call with its first arguments replaced."""
        return self.function(*args, *self.args[len(args) :], **self.kwargs)


Rule = Callable[[Call], Any]  # the call's value, on whatever graph the rule wants backward to follow
Rules = Mapping[str, Rule]  # by function name, without the underscore of an in-place form


class Replaced(torch.autograd.Function):
    """`value` forward; backward, what arrives goes to each carrier times its factor."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *carriers_and_factors: Tensor | None) -> Tensor:
        ctx.save_for_backward(*carriers_and_factors[1::2])
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor | None, ...]:
        pairs = ((arriving if factor is None else arriving * factor, None) for factor in ctx.saved_tensors)
        return None, *(entry for pair in pairs for entry in pair)


def replaced(value: Tensor, carrier: Tensor, factor: Tensor | None = None) -> Tensor:
    """`value`, whose relevance goes to `carrier` times `factor`."""
    return Replaced.apply(value.detach(), carrier, None if factor is None else factor.detach())


class _Counted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, amounts: Tensor) -> Tensor:
        ctx.save_for_backward(amounts)
        return amounts.view_as(amounts)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor, None]:
        return arriving.mul_(*ctx.saved_tensors), None


def counted(x: Tensor, amounts: Tensor | None = None) -> Tensor:
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


def only_positive(value: Tensor, *, own: bool = False) -> Tensor:
    """`value`, which hands back only what is positive of what arrives; in place if that is its `own`, no one else's."""
    return _OnlyPositive.apply(value, own)


def native(call: Call) -> Any:
    """The function as it is, with its own gradient."""
    return call.on()


def rewired(
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
        _mark(x, traced=True)
        mode = _Rewired({**dict.fromkeys(STRUCTURE, native), **rules}, who, others, pending)
        with mode:
            out = model(x)
        if isinstance(out, Tensor):
            _seen(out, who)
        return mode.settled(out)

    return run


class _Rewired(TorchFunctionMode):
    """Tensors that came from the input are marked `_traced`; of constants the mark is False."""

    def __init__(self, rules: Rules, who: str, others: Rule | None, pending: frozenset[str]) -> None:
        super().__init__()
        self.rules, self.who, self.others, self.pending = rules, who, others, pending

    def __torch_function__(self, function: Callable, types: object, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = _tensors((*args, *kwargs.values()))
        for tensor in given:
            _seen(tensor, self.who)
        if any(getattr(tensor, "_traced", False) for tensor in given):
            return self.answer(function, function.__name__, args, kwargs)
        result = function(*args, **kwargs)
        for tensor in _tensors(result):
            _mark(tensor, traced=False)
        return result

    def answer(self, function: Callable, name: str, args: tuple, kwargs: dict) -> Any:
        if name in WRITTEN_OUT and "softmax" in self.rules:
            with self:  # step by step, each step by its rule
                return written_out(name, args, kwargs)[0]
        name, function, kwargs = self.out_of_place(name, function, args, kwargs)
        if name not in self.rules and self.others is None:
            return self.asked(name, function(*args, **kwargs))
        if self.pending and not (name == "batch_norm" and hasattr(args[0], "_pending")):
            args = tuple(map(self.settled, args))
        call = Call(name, function, args, kwargs)
        result = self.wait(call) if name in self.pending else self.rules.get(name, self.others)(call)
        for tensor in _tensors(result):
            # what a rule hands nothing through is a constant from now on
            _mark(tensor, traced=tensor.requires_grad or not torch.is_grad_enabled())
        return result

    def out_of_place(self, name: str, function: Callable, args: tuple, kwargs: dict) -> tuple[str, Callable, dict]:
        """The form that leaves its input alone; the input counts as overwritten from now on."""
        in_place = name.endswith("_") and not name.endswith("__")
        if in_place:
            name = name.removesuffix("_")
            function = getattr(torch.Tensor, name)
        if in_place or kwargs.get("inplace"):
            args[0]._overwritten = True
        return name, function, {**kwargs, "inplace": False} if kwargs.get("inplace") else kwargs

    def asked(self, name: str, result: Any) -> Any:
        """A size or a type may be asked for; a tensor without a rule may not be made."""
        require(
            not _tensors(result), f"{self.who}: every function of the model needs a rule", f"{name}()", WITHOUT_RULES
        )
        return result

    def wait(self, call: Call) -> Tensor:
        value = call.on(counted(call.args[0]))
        value._pending = replace(call, known=value.detach(), summed=value)
        return value

    def settled(self, value: Any) -> Any:
        """A tensor whose rule no longer waits; a list, as `cat` takes it, entry by entry."""
        if isinstance(value, list | tuple):
            return type(value)(map(self.settled, value)) if any(hasattr(v, "_pending") for v in value) else value
        if not hasattr(value, "_pending"):
            return value
        if not hasattr(value, "_settled"):
            value._settled = self.rules[value._pending.name](value._pending)
            _mark(value._settled, traced=True)
        return value._settled


def _tensors(values: object) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    nested = values if isinstance(values, list | tuple) else ()
    return [tensor for value in nested for tensor in ([value] if isinstance(value, Tensor) else _tensors(value))]


def _mark(tensor: Tensor, *, traced: bool) -> None:
    tensor._traced, tensor._made_by = traced, tensor.grad_fn


def _seen(tensor: Tensor, who: str) -> None:
    """Refuse tensors made where no function can be seen, and those that were overwritten in place."""
    if tensor.grad_fn is not getattr(tensor, "_made_by", None):
        maker = f"a {type(tensor.grad_fn).__name__}"
        require(False, f"{who}: every function of the model must be seen", maker, "model = compiled_model._orig_mod")
    if getattr(tensor, "_overwritten", False):
        require(False, f"{who}: a tensor may not be used after it was overwritten in place", tensor, "inplace=False")
