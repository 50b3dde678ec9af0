"""Which methods are right for a model, and why not the others: each is tried on one input."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import nan
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.modules import activation as activation_modules
from torch.overrides import TorchFunctionMode

from xnb.access.hooks import watch_calls
from xnb.access.inputs import read_input
from xnb.access.ledger import count_inner_passes
from xnb.access.model_call import check_explainable, runs_with_batch_axis
from xnb.access.rows import select_rows
from xnb.access.score import logits
from xnb.access.targets import predict_class
from xnb.access.trials import run_first_changes
from xnb.check import PromiseWarning, require
from xnb.methods import METHODS
from xnb.methods.calls import run_method
from xnb.methods.promises import measure_promises
from xnb.progress import MANY_PASSES, hide_progress, show_progress
from xnb.types import Model

_CHANGES = 2  # of the input that a method is tried on: one is no batch, and no spread
_HOOKING_FAMILIES = {"rules", "cam", "attention"}
_ACTIVATIONS = {"relu", "relu_", "gelu", "silu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "hardtanh", "softmax"}
_FUSED_ATTENTION = {"scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention"}


def lint(model: Model, x: Tensor, methods: Iterable[str] | None = None) -> pd.DataFrame:
    """Return a row a method: whether it is right for this model and input, what it costs, why not, what to know.

    `valid` comes from running the method with its defaults on `x[:1]`, so it is what `attribute` would do; of the many
    changes of an input that some methods ask for, only the first are run. `forward` and `backward` are the passes that
    `attribute` would take for this input. `reason` is the refusal. `caution` says what would take more than a thousand
    passes, and what the model does that trips libraries which hook modules, and therefore comparisons with them.

    Args:
        methods: names in `xnb.catalog()`, or one name; None for all.

    Raises:
        ValueError: `x` is no finite tensor, or one input without a batch axis, or a name is unknown.
    """
    asked = [methods] if isinstance(methods, str) else list(METHODS if methods is None else methods)
    for name in asked:
        METHODS.find(name)
    x = read_input(model, x, "lint")
    # of no inputs, what `attribute` would do is tried on a blank one
    first = x[:1] if len(x) else x.new_zeros(1, *x.shape[1:])
    # Which row of the batch runs, so that a mask or another input of the model follows it.
    with select_rows(slice(1), max(len(x), 1)):
        target = _guess_class(model, first, x)
        cautions = _find_cautions(model, first)
        rows = []
        for name in show_progress(asked, len(asked), "method", str):
            trial = _run_trial(model, first, target, name)
            concerned = METHODS.cards[name].family in _HOOKING_FAMILIES
            caution = "; ".join([*trial.list_costs(), *(cautions if concerned else [])])
            rows.append({"method": name, "valid": trial.refusal is None, **trial.columns(), "caution": caution})
    return pd.DataFrame(rows).set_index("method")


def _guess_class(model: Model, first: Tensor, x: Tensor) -> Tensor:
    """Return the class that the model predicts, or any where it refuses: each method will then refuse likewise."""
    unknown = torch.zeros(1, dtype=torch.long, device=x.device)
    try:
        check_explainable(model, first)
    except ValueError:  # for another reason than a missing axis, which each method will give
        return unknown
    with suppress(Exception):
        return predict_class(logits(model, first))
    # The model failed. If it runs once an axis is added, `x` is one input, and not a batch.
    require(not runs_with_batch_axis(model, x), "lint: x must have a batch axis (B, ...)", x, "x = x[None]")
    return unknown


def try_method(model: Model, x: Tensor, target: Tensor, name: str) -> str | None:
    """Return in one line why the method refuses this input, None if it does not."""
    return _run_trial(model, x, target, name).refusal


class _Trial(NamedTuple):
    """What a method refuses, and the passes of an input that it takes with its defaults."""

    refusal: str | None
    forward: float
    backward: float

    def columns(self) -> dict[str, object]:
        """Return what the table says of it; of what is refused, no cost."""
        cost = self.forward + self.backward if self.refusal is None else nan
        known = cost == cost
        return {
            "forward": self.forward if known else nan,
            "backward": self.backward if known else nan,
            "reason": self.refusal or "",
        }

    def list_costs(self) -> list[str]:
        """Return in words what the method costs, where that is much."""
        passes = int(self.forward + self.backward)
        many = self.refusal is None and passes > MANY_PASSES
        return [f"{passes:,} passes of an input"] if many else []


def _run_trial(model: Model, x: Tensor, target: Tensor, name: str) -> _Trial:
    """Run the method with its defaults to its end, but of many changes of the input only the first."""
    refusal = None
    with run_first_changes(_CHANGES), count_inner_passes() as passes, catch_warnings(), hide_progress():
        simplefilter("ignore", PromiseWarning)  # what a trial returns keeps no promise
        try:
            a = run_method(model, x, target, name, {})
            measure_promises(model, x, target, name, a, {}, passes.notes)
        except Exception as error:  # whatever it is, `attribute` would end in it
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            refusal = " ".join(f"{kind}{error}".split())
    inputs = max(len(x), 1)
    return _Trial(refusal, passes.forward / inputs, passes.backward / inputs)


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
    # The rest is learnt from running the model, which `logits` refuses to do in each of the cases above. Where the
    # model itself fails, the cautions are of what ran until then, and each method gives the reason.
    with suppress(Exception), _FunctionWatch() as watch, watch_calls(model, watch.enter, watch.leave):
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
