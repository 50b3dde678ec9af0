"""Which methods are right for a model, and why not the others: found by trying each on one input."""

from collections import Counter
from collections.abc import Callable
from inspect import signature
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.modules import activation
from torch.overrides import TorchFunctionMode

from xnb.access.hooks import around
from xnb.access.regions import square_grid
from xnb.access.score import logits
from xnb.methods import METHODS, attribute
from xnb.types import Model

LITTLE = {"steps": 1, "samples": 16}  # enough to find out whether a method can run at all
ACTIVATIONS = {"relu", "relu_", "gelu", "silu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "hardtanh", "softmax"}
FUSED = {"scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention"}


def lint(model: Model, x: Tensor) -> pd.DataFrame:
    """A row a method: whether it is right for this model and input, why not, and what to know about the model.

    `valid` is found by running the method on `x[:1]`, so it is what `attribute` would do. `reason` is the refusal.
    `caution` says what the model does that trips libraries which hook modules, and therefore comparisons with them.
    """
    target = predicted(model, x[:1])
    found = pd.DataFrame([{"method": name, **verdict(model, x[:1], target, name)} for name in METHODS])
    notes = "; ".join(findings(model, x[:1]))
    touched = [METHODS.cards[name].family in {"rules", "cam", "attention"} for name in found["method"]]
    found["caution"] = [notes if hit else "" for hit in touched]
    return found.set_index("method")


def predicted(model: Model, x: Tensor) -> Tensor:
    """The class that the model says, or any where it refuses: each method will then refuse likewise."""
    try:
        return logits(model, x).argmax(1)
    except (ValueError, RuntimeError):
        return torch.zeros(len(x), dtype=torch.long, device=x.device)


def verdict(model: Model, x: Tensor, target: Tensor, name: str) -> dict[str, object]:
    """Whether a method runs on one input, and its refusal if not."""
    little = LITTLE | ({"regions": square_grid(*x.shape[2:], 2)} if x.ndim == 4 else {})
    knobs = {knob: few for knob, few in little.items() if knob in signature(METHODS[name]).parameters}
    try:
        attribute(model, x, target, name, **knobs)
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        return {"valid": False, "reason": " ".join(str(error).split())}
    return {"valid": True, "reason": ""}


def findings(model: Model, x: Tensor) -> list[str]:
    """What a model does that methods which hook modules cannot see or must not meet."""
    if not isinstance(model, nn.Module):
        return ["a plain function: its modules cannot be reached"]
    training = [name or type(module).__name__ for name, module in model.named_modules() if module.training]
    if training:
        return [f"in training mode: {shortened(training)}"]
    if not x.is_floating_point():
        return [f"input is {x.dtype}, which has no slope"]
    in_place = [name for name, module in model.named_modules() if getattr(module, "inplace", False)]
    calls, functions = watch(model, x)
    facts = {
        "in place": in_place,
        "reused module": [name for name, times in calls.items() if times > 1],
        "functional activation": [f"{name}() in {where}" for name, where in functions if name in ACTIVATIONS],
        "fused attention": [f"{name}() in {where}" for name, where in functions if name in FUSED],
    }
    return [f"{fact}: {shortened(names)}" for fact, names in facts.items() if names]


def shortened(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def watch(model: nn.Module, x: Tensor) -> tuple[Counter[str], list[tuple[str, str]]]:
    """Calls of every module, and functions called outside activation modules with the module that called them."""
    stack: list[tuple[str, nn.Module]] = [("the model", nn.Identity())]
    calls: Counter[str] = Counter()
    functions: list[tuple[str, str]] = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
            if type(stack[-1][1]).__module__ != activation.__name__ or function.__name__ in FUSED:
                functions.append((function.__name__, stack[-1][0] or "the model"))
            return function(*args, **(kwargs or {}))

    def enter(name: str, module: nn.Module, args: tuple) -> None:
        calls[name] += 1
        stack.append((name, module))

    def leave(name: str, module: nn.Module, args: tuple, out: object) -> None:
        stack.pop()

    with around(model, enter, leave), Watch():
        logits(model, x)
    return calls, functions
