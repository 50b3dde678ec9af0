"""One call of a model: what goes in and what comes out is checked, and the pass is counted."""

from typing import NoReturn

import torch
from torch import Tensor, nn

from xnb.access.ledger import add_passes
from xnb.check import refuse, require
from xnb.types import Batch, Logits, Model, Target


def check_explainable(model: Model, x: Batch, target: Target | None = None) -> None:
    """Refuse what no method can explain: a model in training mode, inference mode, integers, a short target."""
    module = find_module_behind(model)
    training = module is not None and any(part.training for part in module.modules())
    require(not training, "score: model must be in evaluation mode", "a module with training == True", "model.eval()")
    require(
        not torch.is_inference_mode_enabled(),
        "score: inference mode switches gradients off for good",
        "torch.inference_mode()",
        "with torch.no_grad(): ...  # around your own code instead",
    )
    require(isinstance(x, Tensor), "score: x must be a tensor (B, ...)", x, "x = torch.as_tensor(x)")
    if not x.is_floating_point():
        _refuse_integers(x)
    if target is not None:
        example = f"target = torch.full(({len(x)},), 0)"
        require(isinstance(target, Tensor), "score: target must be a tensor of class indices", target, example)
        fits = target.shape == (len(x),)
        require(fits, f"score: target must have one entry per input ({len(x)},)", target, example)


def find_module_behind(model: Model) -> nn.Module | None:
    """The module that a callable runs, where that can be seen: itself, its method, or a partial call of it."""
    while not isinstance(model, nn.Module):
        inner = getattr(model, "func", None) or getattr(model, "__self__", None)
        if inner is None:
            return None
        model = inner
    return model


def _refuse_integers(x: Tensor) -> NoReturn:
    """Whole numbers are pixels, or the ids of tokens: a gradient needs the floats behind either."""
    if x.ndim == 2:
        hint = "model, x = xnb.adapters.embed_tokens(model, ids)  # for token ids; numbers of a table: x = x.float()"
    else:
        hint = "x = x.float() / 255"
    refuse("score: x must be floating point", x, hint)


def chunk_logits(model: Model, x: Batch) -> Logits:
    """Logits of one chunk, their shape checked; counted as forward passes."""
    with ExplainedFailure(model, x):
        out = model(x)
    has_rows = isinstance(out, Tensor) and out.ndim == 2 and len(out) == len(x)
    if not has_rows:
        _refuse_output(model, out, x)
    add_passes(forward=len(x))
    return out


class ExplainedFailure:
    """Around a pass that fails: what is wrong with the input is said, where that can be seen.

    Where the model's weights have another dtype or device, or the model would take `x[None]`, that is refused in place
    of the model's own error.
    """

    def __init__(self, model: Model, x: Batch) -> None:
        self.model = model
        self.x = x

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None or not issubclass(kind, Exception):
            return
        if issubclass(kind, RuntimeError):
            _refuse_mismatch(self.model, self.x)
        if runs_with_batch_axis(self.model, self.x):
            refuse("score: x must have a batch axis (B, ...)", self.x, "x = x[None]")


def _refuse_mismatch(model: Model, x: Batch) -> None:
    """Refuse an input whose dtype or device none of the model's weights has."""
    weights = float_weights(model)
    if not weights:
        return
    device, dtype = weights[0].device, weights[0].dtype
    found = any(part.device == x.device for part in weights)
    rule = f"score: x must be where the model's weights are, on {device}"
    require(found, rule, x.device, f'x = x.to("{device}")')
    found = any(part.dtype == x.dtype for part in weights)
    require(found, f"score: x must have the dtype of the model's weights, {dtype}", x, f"x = x.to({dtype})")


def float_weights(model: Model) -> list[Tensor]:
    """The parameters of the module behind a model, without whole numbers; none where no module can be seen."""
    module = find_module_behind(model)
    return [] if module is None else [part for part in module.parameters() if part.is_floating_point()]


def runs_with_batch_axis(model: Model, x: Batch) -> bool:
    """Whether the model takes `x` as a single input."""
    if x.ndim not in (1, 2, 3):
        return False
    try:
        with torch.no_grad():
            out = model(x[None].detach())
    except Exception:  # whatever it is, the model's first error tells more
        return False
    return isinstance(out, Tensor) and out.ndim == 2 and len(out) == 1


def _refuse_output(model: Model, out: object, x: Batch) -> NoReturn:
    """Say which adapter makes logits `(B, K)` of what the model returned."""
    if isinstance(out, Tensor) and len(out) != len(x) and runs_with_batch_axis(model, x):
        hint = "x = x[None]"
    elif not isinstance(out, Tensor):
        hint = "model = xnb.adapters.logits(model)  # of a dict, a tuple, an output with .logits"
    elif out.shape == (len(x),):
        hint = "model = xnb.adapters.two_classes(model)  # one logit an input"
    elif out.ndim == 4:
        hint = "model = xnb.adapters.region(model, mask)  # the mean logit of some pixels of a segmentation"
    elif out.ndim == 3:
        hint = "model = xnb.adapters.step(model, 0)  # the logits of one step of a sequence (B, T, K)"
    else:
        hint = "xnb.attribute(lambda x: model(x).flatten(1), x, target, ...)"
    refuse("score: model must return logits (B, K)", out, hint)
