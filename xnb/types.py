"""The words every signature speaks.

Axes: B inputs, C channels, H W pixels, K classes, D features, N tokens, h heads.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from jaxtyping import Bool, Float, Int
from torch import Tensor

Batch: TypeAlias = Float[Tensor, "B *shape"]
Attribution: TypeAlias = Float[Tensor, "B *#shape"]  # the input's shape, or 1 where an axis is shared
Points: TypeAlias = Float[Tensor, "N *shape"]  # inputs that are not one for one with the batch
Target: TypeAlias = Int[Tensor, " B"]
TargetLike: TypeAlias = Any  # a class index for each input, as tensor, array or list, or one number for all
Logits: TypeAlias = Float[Tensor, "B K"]
Scores: TypeAlias = Float[Tensor, " B"]
Masks: TypeAlias = Bool[Tensor, "B 1 H W"]
Model: TypeAlias = Callable[[Tensor], Tensor]  # (B, *shape) -> logits (B, K)
Knobs: TypeAlias = Mapping[str, Mapping[str, Any]]  # by method or metric: its own keyword arguments
