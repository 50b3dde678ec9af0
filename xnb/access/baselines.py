"""What stands where a part of an input is removed, or where a path to it begins."""

from torch import Tensor

from xnb.access.rows import follow_rows
from xnb.check import refuse, require
from xnb.types import Batch


def expand_baseline(baseline: Tensor | float, x: Batch) -> Batch:
    """The baseline of each input: a number, or a tensor that broadcasts against `x` and follows its rows.

    Raises:
        ValueError: it does not broadcast to `x`, or is of another dtype or on another device.
    """
    values = baseline if isinstance(baseline, Tensor) else x.new_tensor(baseline)
    same = values.dtype == x.dtype and values.device == x.device
    rule = f"baseline: must have x's dtype and device, {x.dtype} on {x.device}"
    require(same, rule, values, "baseline=torch.zeros_like(x)")
    if values.ndim == x.ndim and len(values) != len(x):
        values = follow_rows(values, len(x), "baseline")
    try:
        return values.expand_as(x)
    except RuntimeError:
        refuse(f"baseline: must broadcast to x {tuple(x.shape)}", baseline, "baseline=torch.zeros_like(x)")
