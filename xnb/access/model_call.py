"""One call of a model: what goes in and what comes out is checked, and the pass is counted."""

from typing import NoReturn

import torch
from torch import Tensor, nn

from xnb.access.ledger import add_passes
from xnb.access.modes import find_training
from xnb.access.output_forms import is_logits, refuse_output, runs_on_arrays
from xnb.access.rows import count_caller_rows, select_rows
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import is_out_of_memory, is_refusal, refuse, require
from xnb.types import Batch, Logits, Model, Target


def check_explainable(model: Model, x: Batch, target: Target | None = None) -> None:
    """Refuse what no method can explain: a model in training mode, inference mode, integers, a short target."""
    _check_mode(model)
    require(
        not torch.is_inference_mode_enabled(),
        "score: inference mode switches gradients off for good",
        "torch.inference_mode()",
        "torch.no_grad()  # in its place",
    )
    require(isinstance(x, Tensor), "score: x must be a tensor (B, ...)", x, "x = torch.as_tensor(x)")
    if not x.is_floating_point():
        _refuse_integers(model, x)
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


def _check_mode(model: Model) -> None:
    """Refuse a model that would not answer as in evaluation, and a program that is none yet."""
    module = find_module_behind(model)
    if module is None:
        exported = type(model).__name__ == "ExportedProgram"  # by name: to load torch.export takes seconds
        require(not exported, "score: an exported program is called by its module", model, "model = model.module()")
        return
    if not _is_training(module):
        return
    training = find_training(module)
    hint = "model.eval()"
    if training is not None and training.startswith("aten"):
        hint = "model = torch.export.export(net.eval(), (x,)).module()"
    require(training is None, "score: model must be in evaluation mode", training, hint)


def _is_training(module: nn.Module) -> bool:
    """Whether any module is in training mode; `module.modules()` takes four times as long, at each call of a method."""
    parts = module._modules.values()
    return module.training or any(part is not None and _is_training(part) for part in parts)


def _refuse_integers(model: Model, x: Tensor) -> NoReturn:
    """Whole numbers are pixels, or the ids of tokens: a gradient needs the floats behind either."""
    module = find_module_behind(model)
    embeds = module is not None and any(isinstance(part, nn.Embedding) for part in module.modules())
    pixels = x.ndim != 2 and x.dtype != torch.bool
    hint = "x = x.float() / 255" if pixels else "x = x.float()"
    if embeds:
        hint = "model, x = xnb.adapters.embed_tokens(model, x)"
    if x.is_complex():
        hint = "x = x.real"
    refuse("score: x must be floating point", x, hint)


def chunk_logits(model: Model, x: Batch) -> Logits:
    """Logits of one chunk, their shape checked; counted as forward passes."""
    with ExplainedFailure(model, x, together=len(x)):
        out = model(x)
    if not is_logits(out, x):
        if runs_with_batch_axis(model, x):
            refuse("score: x must have a batch axis (B, ...)", x, "x = x[None]")
        size = count_caller_rows()
        if isinstance(out, Tensor) and out.ndim and len(out) == size != len(x):
            _refuse_fixed_rows(len(x), size)
        refuse_output(model, out, x)
    add_passes(forward=len(x))
    return out


class ExplainedFailure:
    """Around a pass that fails: says what is wrong with the input, where that can be seen.

    Where the model's weights have another dtype or device, or the model would take `x[None]`, that is refused in place
    of the model's own error; so is a pass for which there is no memory, which stays an error of memory.

    Args:
        together: inputs that run at once within the block; None where that is not known.
    """

    def __init__(self, model: Model, x: Batch, together: int | None = None) -> None:
        self.model = model
        self.x = x
        self.together = together

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None or not issubclass(kind, Exception):
            return
        if is_refusal(error):  # it says itself what is wrong
            return
        # Python's own end of memory comes from code of the model's: fewer inputs need not help
        if is_out_of_memory(error) and not isinstance(error, MemoryError):
            _refuse_size(self.x, self.together)
        if _runs(self.model, self.x):  # it is not the input
            return
        if issubclass(kind, RuntimeError):
            _refuse_mismatch(self.model, self.x)
        if runs_with_batch_axis(self.model, self.x):
            refuse("score: x must have a batch axis (B, ...)", self.x, "x = x[None]")
        if self.x.ndim == 4 and _runs(self.model, self.x.permute(0, 3, 1, 2)):
            rule = "score: x must have its channels where the model reads them, (B, C, H, W)"
            refuse(rule, self.x, "x = x.permute(0, 3, 1, 2)")
        _refuse_other_rows(self.model, self.x)
        if issubclass(kind, AttributeError | TypeError) and runs_on_arrays(self.model, self.x):
            rule = "score: the model takes arrays and no tensors"
            refuse(rule, str(error), "model = xnb.adapters.from_numpy(model)")


def _refuse_size(x: Batch, together: int | None) -> NoReturn:
    """Refuse a pass that does not fit in memory, with a chunk of half as many inputs."""
    few = 1 if together is None else together // 2
    hint = f"chunk={few}  # inputs that run together" if few else FORWARD_ONLY  # without a graph one input needs less
    rule = f"score: a pass must fit in the free memory of {x.device}"
    got = f"{x[:together].nbytes / 2**20:.3g} MiB of inputs, and what the model makes of them"
    refuse(rule, got, hint, error=torch.OutOfMemoryError)


def _runs(model: Model, x: Batch) -> bool:
    try:
        with torch.no_grad():
            model(x.detach().clone())
    except Exception:  # whatever it is, the first error is the one to explain
        return False
    return True


def _refuse_other_rows(model: Model, x: Batch) -> None:
    """Refuse a model that runs as many inputs as the caller gave, and no other number of them."""
    size = count_caller_rows()
    if size in (None, 0, len(x)):
        return
    try:
        with torch.no_grad():
            model(x.detach()[torch.arange(size) % len(x)])
    except Exception:  # it is not the number of inputs, and the model's first error tells more
        return
    _refuse_fixed_rows(len(x), size)


def _refuse_fixed_rows(count: int, size: int) -> NoReturn:
    """Refuse a model that holds something with the rows of the caller's batch: no other inputs fit to it."""
    rule = "score: what else the model takes must follow its input"
    got = f"a model of {size} rows, as the batch has, run on {count}"
    refuse(rule, got, "model = xnb.adapters.with_inputs(net, mask=mask)  # calls net(x, mask=mask)")


def _refuse_mismatch(model: Model, x: Batch) -> None:
    """Refuse an input whose dtype or device none of the model's weights has."""
    weights = float_weights(model)
    if not weights:
        return
    device, dtype = weights[0].device, weights[0].dtype
    found = any(part.device == x.device for part in weights)
    rule = f"score: x must be where the model's weights are, on {device}"
    hint = f'x = x.to("{device}")'
    if device.type == "meta":  # a model without its numbers, as for a count of its sizes
        hint = f'model.to_empty(device="{x.device}"); model.load_state_dict(weights)'
    require(found, rule, x.device, hint)
    found = any(part.dtype == x.dtype for part in weights)
    require(found, f"score: x must have the dtype of the model's weights, {dtype}", x, f"x = x.to({dtype})")


def float_weights(model: Model) -> list[Tensor]:
    """The parameters of the module behind a model, without whole numbers; none where no module can be seen."""
    module = find_module_behind(model)
    if module is None:
        return []
    return [part for part in module.parameters() if part.is_floating_point()]


def runs_with_batch_axis(model: Model, x: Batch) -> bool:
    """Whether the model takes `x` as a single input, and not as a batch."""
    module = find_module_behind(model)
    if module is not None and find_training(module):  # it would count the pass into its statistics
        return False
    if x.ndim not in (1, 2, 3) or _has_rows(model, x):
        return False
    try:
        with torch.no_grad():
            out = model(x[None].detach().clone())
    except Exception:  # whatever it is, the model's first error tells more
        return False
    return isinstance(out, Tensor) and out.ndim == 2 and len(out) == 1


def _has_rows(model: Model, x: Batch) -> bool:
    """Whether an output has a row for each row of `x`: so it has for the first alone."""
    try:
        with torch.no_grad():
            out = model(x.detach().clone())
            with select_rows(slice(1), len(x)):
                first = model(x[:1].detach().clone())
    except Exception:  # whatever it is, the model's first error tells more
        return False
    tensors = isinstance(out, Tensor) and isinstance(first, Tensor)
    return tensors and x.ndim > 1 and out.shape[:1] == x.shape[:1] and first.shape == (1, *out.shape[1:])
