"""The fast form of a model, asked for by name: same function, fewer and faster operations."""

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from xnb.access.copies import copy_module
from xnb.access.fast_forward import MIXED_DTYPE, FastSteps, add_steps, read_steps
from xnb.access.foldable import foldable_pairs
from xnb.access.inputs import refuse_model
from xnb.check import refuse, require
from xnb.types import Batch

# Numbers of the two settings in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_AS_IT_IS = "xnb.attribute(model, x, target, 'gradient')  # the model as it is, slower"
# Of the copy's output, in parts of the largest, or in steps of its dtype: far above rounding.
_LARGEST_DEVIATION = 1e-3
_LARGEST_STEPS = 16


def prepare(
    model: nn.Module, x: Batch | None = None, *, mixed_precision: bool = False, compiled: bool = False
) -> nn.Module:
    """A copy that computes the same faster: frozen, batch norms folded into convolutions, channels last.

    The model itself is left alone. Modules keep their names; a folded batch norm becomes an identity. Results move
    by rounding. Measured against double precision on a residual network at 32 x 32, relative to the largest value:
    the slope is off by less than 1e-6. A ReLU within rounding of zero may flip, in the copy or in the model itself:
    on one processor the model's own slope was off by 5 % in one of 32 pictures, on another by less than 5e-7. Over the
    50 steps of integrated gradients some do, and single values are off by up to 1e-3, where the model's own are by up
    to 2e-4.

    Args:
        x: some inputs. With them one pass is recorded and its folded copy compared with the model; linear layers fold
            too. Without them what torch.fx can follow is folded; where it cannot follow, nothing is.
        mixed_precision: convolutions and products of matrices run in bfloat16, which keeps 8 of 24 binary digits;
            inputs, outputs and maps stay float32.
        compiled: run the code that `torch.compile` makes: once for each kind of pass, at its first use, which can take
            minutes. On a processor torch needs a C++ compiler for it. A copy of the copy compiles anew.

    Raises:
        ValueError: `model` is not a module, or in training mode, where batch norms do not fold; or it cannot be
            copied; or the copy computes something else for `x`. `mixed_precision` of weights that are not float32.
            `compiled` without `x`, or where no code can be made.
    """
    if not callable(model):
        refuse_model(model, "prepare")
    hint = "xnb.attribute(model, x, target, 'feature_ablation')  # a function runs as it is"
    closed = isinstance(model, torch.jit.ScriptModule)
    require(isinstance(model, nn.Module) and not closed, "prepare: model must be a torch.nn.Module", model, hint)
    training = any(module.training for module in model.modules())
    require(not training, "prepare: model must be in evaluation mode", "a module with training == True", "model.eval()")
    if mixed_precision:
        _require_single_precision(model)
    line = "xnb.prepare(model, x, compiled=True)"
    require(x is not None or not compiled, "prepare: compiled code is tried on inputs, x", x, line)
    fast = copy_module(model).requires_grad_(False)
    for before, norm in foldable_pairs(fast, x):
        _fold_norm(fast, before, norm)
    # Convolutions are faster with channels last, on processors at least; linear layers do not mind.
    fast = fast.to(memory_format=torch.channels_last)
    add_steps(fast, FastSteps(mixed_precision, compiled))
    if x is not None:
        _compare_outputs(model, fast, x)
    return fast


def _require_single_precision(model: nn.Module) -> None:
    """Refuse weights of other dtypes: torch would leave their products as they are, or fail at them."""
    floating = {part.dtype for part in model.parameters() if part.is_floating_point()}
    others = sorted(map(str, floating - {torch.float32}))
    rule = "prepare: mixed precision is that of a model in float32"
    require(not others, rule, others, "model, x = model.float(), x.float()")


def _compare_outputs(model: nn.Module, fast: nn.Module, x: Batch) -> None:
    """Refuse a copy that computes something else."""
    steps = read_steps(fast)
    with torch.no_grad():
        expected = model(x.clone())
        found = _run_code(fast, x.clone()) if steps.compiled else fast(x.clone())
    if not isinstance(expected, Tensor):
        return
    gap = float((found - expected).abs().max()) if expected.numel() else 0.0
    # what mixed precision rounds to is coarser than the dtype of what it returns
    dtype = MIXED_DTYPE if steps.mixed_precision else expected.dtype
    step = torch.finfo(dtype).eps if expected.is_floating_point() else 0.0
    share = max(_LARGEST_DEVIATION, _LARGEST_STEPS * step)
    same = gap <= share * float(expected.abs().max())
    require(same, "prepare: the copy must compute what the model does", f"off by {gap:.2g}", _AS_IT_IS)


def _run_code(fast: nn.Module, x: Batch) -> Any:
    """Run what torch compiles; refuse where it cannot."""
    try:
        return fast(x)
    except Exception as error:  # compilers fail in every way there is
        words = " ".join(f"{type(error).__name__}: {error}".split())
        line = "fast = xnb.prepare(model, x)  # not compiled; or install a C++ compiler, such as g++"
        refuse("prepare: torch.compile must be able to make code here", words, line)


def _fold_norm(model: nn.Module, before: str, norm: str) -> None:
    """Put the batch norm called `norm` into the weights of the module before it."""
    layer: Any = model.get_submodule(before)  # a linear layer or a convolution, see `foldable`
    bn: Any = model.get_submodule(norm)
    fuse: Callable[..., tuple[nn.Parameter, nn.Parameter]]
    fuse = fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fuse_conv_bn_weights
    # a batch norm with affine=False has no weight and no bias, which torch's function does not expect
    scale = torch.ones_like(bn.running_var) if bn.weight is None else bn.weight
    shift = torch.zeros_like(bn.running_mean) if bn.bias is None else bn.bias
    statistics = (bn.running_mean, bn.running_var, bn.eps)
    layer.weight, layer.bias = fuse(layer.weight, layer.bias, *statistics, scale, shift)
    layer.requires_grad_(False)
    model.set_submodule(norm, nn.Identity().eval())


def tune_malloc() -> bool:
    """Let glibc keep the memory that torch gives back, for the rest of the process; False where there is no glibc.

    Attribution allocates and frees buffers of some MiB at every operation. By default glibc returns each to the
    system and faults it in again, which can cost as much as the arithmetic. The process keeps its peak of memory.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return False
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) and libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1))
