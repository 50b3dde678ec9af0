"""What a caller hands over as x, as the plain tensor that methods take."""

from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from xnb.access.model_call import float_weights, runs_with_batch_axis
from xnb.check import is_finite, refuse, require
from xnb.types import Batch, Model

_EXPECTED = "x must be a tensor (B, ...)"


def read_input(model: Model, x: object, who: str, *, as_batch: str = "x = x[None]") -> Batch:
    """The input without the graph that it may hang on: a parameter, a result that requires grad, a `tv_tensor`.

    Args:
        who: called by the user, the first word of a refusal.
        as_batch: the line that makes a batch of one input, a row of features.

    Raises:
        ValueError: `x` is no tensor, has no axes, is one row of features, or holds NaN or infinity; `model` cannot be
            called.
    """
    if not callable(model) or isinstance(model, type):
        refuse_model(model, who)
    plain = read_tensor(model, x, who)
    # Here already: functions of torch take a row of features for a batch of numbers, and fail in words that mislead.
    if plain.ndim == 1 and runs_with_batch_axis(model, plain):
        refuse(f"{who}: x must have a batch axis (B, ...)", plain, as_batch)
    return plain


def refuse_model(model: object, who: str) -> NoReturn:
    """Refuse what cannot be called, is nothing, or a class in place of one of its models."""
    rule = f"{who}: model must be a module, or a function (B, ...) -> (B, K)"
    refuse(rule, model, _suggest_model(model, who))


def read_tensor(model: Model | None, x: object, who: str) -> Batch:
    """As `read_input`, also without a model, for what needs none."""
    if not isinstance(x, Tensor):
        _refuse_no_tensor(model, x, f"{who}: {_EXPECTED}")
    require(x.ndim > 0, f"{who}: {_EXPECTED}", x, "x = x.view(1, 1)")
    require(x.layout == torch.strided, f"{who}: x must hold every value", x.layout, "x = x.to_dense()")
    require(is_finite(x), f"{who}: x must be finite", x, "x = x.nan_to_num()")
    plain = x.detach() if x.requires_grad else x
    if plain.is_inference() and not torch.is_inference_mode_enabled():
        plain = plain.clone()  # an inference tensor takes part in no gradient, a copy of it does
    # A tv_tensor is a tensor with another name; classes that do their own arithmetic (DTensor) stay what they are.
    renamed = type(plain) is not Tensor and type(plain).__torch_dispatch__ is Tensor.__torch_dispatch__
    if renamed:
        return plain.as_subclass(Tensor)
    return plain


def _suggest_model(model: object, who: str) -> str:
    """The line that makes a model of what stands for one; of none, what needs none."""
    if model is None:
        return "xnb.attribute(None, x, target, 'random')  # a control, which alone needs no model"
    if isinstance(model, type):
        return "model = model().eval()" if issubclass(model, nn.Module) else "model = model()"
    for name in ("predict_proba", "decision_function", "predict"):  # of scikit-learn and its like
        if hasattr(model, name):
            return _call_without_gradient(f"xnb.adapters.from_numpy(model.{name})", who)
    if isinstance(model, str):
        return f"import torchvision; model = torchvision.models.get_model({model!r}).eval()"
    if isinstance(model, Mapping):
        return "net.load_state_dict(model); model = net.eval()  # net: the network that the weights belong to"
    return "a torch module, or a function of a batch"


def _call_without_gradient(function: str, who: str) -> str:
    """The line for a model that has no gradient, with a method that asks for none where the call takes one."""
    if who == "attribute":
        return f"xnb.attribute({function}, x, target, 'feature_ablation')"
    if who == "explain":
        return f"xnb.explain({function}, x, target, methods=['feature_ablation'])"
    return f"model = {function}"


def _refuse_no_tensor(model: Model | None, x: object, rule: str) -> NoReturn:
    """Name the line that makes a tensor of what came."""
    if isinstance(x, dict) and "input_ids" in x:
        mask = ', x["attention_mask"]' if "attention_mask" in x else ""
        refuse(rule, list(x), f'model, x = xnb.adapters.embed_tokens(model, x["input_ids"]{mask})')
    if isinstance(x, tuple | list) and x and all(isinstance(part, Tensor) for part in x):
        refuse(rule, x, _read_several(model, x))
    weights = [] if model is None else float_weights(model)
    dtype = weights[0].dtype if weights else torch.get_default_dtype()
    if hasattr(x, "getbands"):  # a picture of PIL
        hint = "from torchvision.transforms.functional import to_tensor; x = to_tensor(x)[None]"
        refuse(rule, x, hint)
    if isinstance(x, str | Path):
        refuse(rule, x, f"from torchvision.io import decode_image; x = decode_image({str(x)!r})[None] / 255")
    if _is_numeric(x):
        hint = "x" if isinstance(x, np.ndarray | list | tuple) else "np.atleast_1d(np.asarray(x))"
        refuse(rule, x, f"x = torch.as_tensor({hint}, dtype={dtype})")
    refuse(rule, x, _read_collection(x, dtype))


def _is_numeric(x: object) -> bool:
    """Whether numpy makes numbers of it."""
    try:
        return np.asarray(x).dtype.kind in "biuf"
    except (TypeError, ValueError):  # rows of different lengths, or no rows
        return False


def _read_collection(x: object, dtype: torch.dtype) -> str:
    """The line that takes inputs out of what holds them: a part of a data set, a loader, a generator, a list."""
    if hasattr(x, "x") and hasattr(x, "y"):
        return "x, target = x.x, x.y"
    if isinstance(x, DataLoader):
        return "x, target = next(iter(x))  # one batch: inputs and labels"
    if isinstance(x, Dataset):
        return "x, target = next(iter(torch.utils.data.DataLoader(x, batch_size=8)))"
    if isinstance(x, list | tuple) and len(x):
        return f"x = torch.as_tensor(np.asarray(x[0]), dtype={dtype})[None]  # inputs of one shape together"
    if isinstance(x, Iterator):
        return "x = torch.cat(list(x))  # of batches; of single inputs torch.stack(list(x))"
    return "a tensor with a row for each input"


def _read_several(model: Model | None, x: tuple | list) -> str:
    """The line for several tensors: one alone, a batch of a loader, single inputs, or inputs of several kinds."""
    first, *others = x
    if not others:
        return "x = x[0]"
    labels = others[0]
    if len(others) == 1 and not labels.is_floating_point() and labels.shape == first.shape[:1]:
        return "x, target = x  # a batch of a loader: inputs and labels"
    if all(other.shape == first.shape for other in others):
        return "x = torch.stack(list(x))"
    if model is None:
        return "x = x[0]"
    names = _further_inputs(model, len(others))
    extras = ", ".join(f"{name}=x[{position}]" for position, name in enumerate(names, 1))
    return f"model, x = xnb.adapters.with_inputs(model, {extras}), x[0]"


def _further_inputs(model: Model, count: int) -> list[str]:
    """Names of what a model takes beside its first input."""
    function = model.forward if isinstance(model, nn.Module) else model
    _, *others = signature(function).parameters
    return others[:count]
