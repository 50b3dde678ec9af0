"""Which methods are right for a model, and why not the others: each is tried on one input."""

from collections import Counter
from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.modules import activation as activation_modules
from torch.overrides import TorchFunctionMode

from xnb.access.hooks import watch_calls
from xnb.access.regions import square_grid
from xnb.access.score import logits
from xnb.access.targets import predict_class
from xnb.methods import METHODS, attribute
from xnb.types import Model

_FEWEST = {"steps": 1, "samples": 16}  # enough to see whether a method can run at all
_HOOKING_FAMILIES = {"rules", "cam", "attention"}
_ACTIVATIONS = {"relu", "relu_", "gelu", "silu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "hardtanh", "softmax"}
_FUSED_ATTENTION = {"scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention"}


def lint(model: Model, x: Tensor) -> pd.DataFrame:
    """Return a row a method: whether it is right for this model and input, why not, and what to know about the model.

    `valid` comes from running the method on `x[:1]`, so it is what `attribute` would do. `reason` is the refusal.
    `caution` says what the model does that trips libraries which hook modules, and therefore comparisons with them.
    """
    first = x[:1]
    target = _guess_class(model, first)
    refusals = {name: try_method(model, first, target, name) for name in METHODS}
    cautions = "; ".join(_find_cautions(model, first))
    rows = []
    for name, refusal in refusals.items():
        concerned = METHODS.cards[name].family in _HOOKING_FAMILIES
        rows.append(
            {
                "method": name,
                "valid": refusal is None,
                "reason": refusal or "",
                "caution": cautions if concerned else "",
            }
        )
    return pd.DataFrame(rows).set_index("method")


def _guess_class(model: Model, x: Tensor) -> Tensor:
    """Return the class that the model predicts, or any where it refuses: each method will then refuse likewise."""
    try:
        return predict_class(logits(model, x))
    except (ValueError, RuntimeError):
        return torch.zeros(len(x), dtype=torch.long, device=x.device)


def try_method(model: Model, x: Tensor, target: Tensor, name: str) -> str | None:
    """Return in one line why the method refuses this input, None if it does not."""
    cheap: dict[str, object] = dict(_FEWEST)
    if x.ndim == 4:
        height, width = x.shape[2:]
        cheap["regions"] = square_grid(height, width, 2)
    parameters = signature(METHODS[name]).parameters
    knobs = {knob: value for knob, value in cheap.items() if knob in parameters}
    try:
        attribute(model, x, target, name, **knobs)
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        return " ".join(str(error).split())
    return None


def _find_cautions(model: Model, x: Tensor) -> list[str]:
    """Return what a model does that methods which hook modules do not notice or must not meet."""
    if not isinstance(model, nn.Module):
        return ["a plain function: its modules cannot be reached"]
    modules = dict(model.named_modules())
    training = [name or type(module).__name__ for name, module in modules.items() if module.training]
    if training:
        return [f"in training mode: {_list_first(training)}"]
    if not x.is_floating_point():
        return [f"input is {x.dtype}, which has no gradient"]
    # The rest is learnt from running the model, which `logits` refuses to do in each of the cases above.
    with _FunctionWatch() as watch, watch_calls(model, watch.enter, watch.leave):
        logits(model, x)
    in_place = [name for name, module in modules.items() if getattr(module, "inplace", False)]
    reused = [name for name, times in watch.calls.items() if times > 1]
    cautions = {
        "in place": in_place,
        "reused module": reused,
        "functional activation": watch.locate(_ACTIVATIONS),
        "fused attention": watch.locate(_FUSED_ATTENTION),
    }
    return [f"{fact}: {_list_first(names)}" for fact, names in cautions.items() if names]


def _list_first(names: Iterable[str]) -> str:
    """Return the first three different names as text, and how many more there are."""
    different = list(dict.fromkeys(names))
    text = ", ".join(different[:3])
    more = len(different) - 3
    return f"{text} and {more} more" if more > 0 else text


class _FunctionCall(NamedTuple):
    function: str
    module: str  # that called it


class _FunctionWatch(TorchFunctionMode):
    """Notes, within a `with` block, which functions a model calls; `enter` and `leave` go around its modules' calls.

    Attributes:
        calls: times that each module was called.
        functions: all but those that activation modules call, as `nn.ReLU` does: a hook on the module notices these.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.functions: list[_FunctionCall] = []
        self._running: list[tuple[str, nn.Module]] = []

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        name, module = self._running[-1] if self._running else ("", None)
        # An activation in a module of its own can be hooked, so it is no caution. torch defines `MultiheadAttention`
        # beside those modules, but the fused function that it calls cannot be hooked.
        in_activation = type(module).__module__ == activation_modules.__name__
        if not in_activation or function.__name__ in _FUSED_ATTENTION:
            self.functions.append(_FunctionCall(function.__name__, name or "the model"))
        return function(*args, **(kwargs or {}))

    def enter(self, name: str, module: nn.Module, args: tuple) -> None:
        self.calls[name] += 1
        self._running.append((name, module))

    def leave(self, name: str, module: nn.Module, args: tuple, out: object) -> None:
        self._running.pop()

    def locate(self, functions: set[str]) -> list[str]:
        """Return where these functions are called, as `relu() in conv1`."""
        return [f"{call.function}() in {call.module}" for call in self.functions if call.function in functions]
