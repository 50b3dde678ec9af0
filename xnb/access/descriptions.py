"""Functions, models and tensors in words: the settings by which what a long run has stored is known again."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor, nn

from xnb.check import require
from xnb.types import Model


def takes_knob(function: Callable, name: str) -> bool:
    """Return whether the function has a knob of that name, and no `partial` has set it."""
    return name in signature(function).parameters and name not in getattr(function, "keywords", {})


def unwrap_partial(function: Callable) -> Callable:
    """Return the function below what `partial` has set."""
    if isinstance(function, partial):
        return unwrap_partial(function.func)
    return function


def describe_all(functions: Mapping[str, Callable]) -> dict[str, str]:
    return {label: describe_function(function) for label, function in functions.items()}


def describe_function(function: Callable) -> str:
    """Return module, name and knobs of a function; tensors and models among them by their content.

    The text is part of the settings in stored files: another text makes all files unknown.
    """
    settings = sorted(getattr(function, "keywords", {}).items())
    knobs = ", ".join(f"{name}={describe_knob(value)}" for name, value in settings)
    inner = unwrap_partial(function)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{inner.__module__}.{name}({knobs})"


def describe_knob(value: object) -> str:
    """Return the repr, but a fingerprint where it would leave values out or show an address in memory."""
    if isinstance(value, Tensor):
        return repr(fingerprint([value]))
    return repr(fingerprint(value) if callable(value) else value)


def fingerprint(content: Model | Sequence[Tensor | None]) -> str:
    """Return sixteen digits of the SHA-256 of all tensors, of a model those of its state; of a function its name."""
    if callable(content) and not isinstance(content, nn.Module):
        return describe_function(content)
    digest = hashlib.sha256()
    for name, tensor in _name_tensors(content):
        # dtype and shape too: the same bytes may be another tensor
        kind = None if tensor is None else (tensor.dtype, tuple(tensor.shape))
        digest.update(f"{name} {kind}".encode())
        if tensor is not None:
            flat = tensor.detach().cpu().contiguous().view(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _name_tensors(content: nn.Module | Sequence[Tensor | None]) -> Iterator[tuple[str, Tensor | None]]:
    if isinstance(content, nn.Module):
        yield from content.state_dict().items()
    else:
        for position, tensor in enumerate(content):
            yield str(position), tensor


def require_same_settings(earlier: Mapping[str, object], now: Mapping[str, object], path: Path, who: str) -> None:
    """Refuse to mix results of one file or store that were made with different settings; name what is not the same.

    Args:
        path: of the file or store.
        who: called by the user, the first word of the refusal.

    Raises:
        ValueError: a setting is not the same.
    """
    different = {}
    for name, setting in now.items():
        # as text: NaN among the knobs then equals itself
        if json.dumps(earlier.get(name)) != json.dumps(setting):
            different[name] = (earlier.get(name), setting)
    rule = f"{who}: {path.name} was written with other settings: {', '.join(different)} (there, now)"
    free = path.with_name(f"{path.stem}-2{path.suffix}")
    require(not different, rule, different, f"path={str(free)!r}")
