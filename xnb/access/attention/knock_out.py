"""Attention with some of its arrows taken away: chosen queries cannot read chosen keys."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from xnb.access.attention.attention_capture import AttentionCapture
from xnb.access.attention.fused_attention import write_out
from xnb.check import require

_SUM_TOLERANCE = 1e-2  # as in `attention_capture`: the rounding of bfloat16
_NO_ARROWS = "arrows = torch.zeros(1, 1, dtype=torch.bool)  # none is taken away"


class AttentionKnockOut(AttentionCapture):
    r"""Within it the weights of chosen arrows K are 0, and the others of their row sum to 1 again.

    .. math:: \tilde A_{ij} = \frac{A_{ij} (1 - K_{ij})}{\sum_m A_{im} (1 - K_{im})}

    which is the softmax of logits that are minus infinity wherever K is 1. What is kept are the new weights.
    """

    def __init__(self, arrows: Bool[Tensor, "*axes N M"], layers: Collection[int] | None) -> None:
        """Start with nothing seen; for `arrows` and `layers` see `xnb.access.hooks.knock_out_attention`."""
        super().__init__()
        self.arrows = arrows
        self.layers = layers

    def run_fused(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A fused function, written out under watch: its product of weights and values is changed as any other."""
        with self:
            out, _, _ = write_out(function.__name__, args, kwargs)
        if isinstance(out, tuple):
            return (out[0], None)  # the weights that it would return are those before the change
        return out

    def change_weights(self, weights: Float[Tensor, "B h N M"]) -> Tensor:
        """The weights without the arrows, in the layers that are meant."""
        if self.layers is not None and len(self.attentions) not in self.layers:
            return weights
        self._check_rows(weights)
        remaining = weights.masked_fill(self.arrows.to(weights.device), 0)
        total = remaining.sum(-1, keepdim=True)
        rule = "knock_out_attention: every query must be left something to read"
        require(bool((total > 0).all()), rule, "a query that reads none of the keys that are left", _NO_ARROWS)
        return remaining / total

    def _check_rows(self, weights: Tensor) -> None:
        """Refuse arrows that do not broadcast to the weights, and weights whose rows do not sum to 1."""
        # From the last axis on, as torch broadcasts.
        sizes = zip(reversed(self.arrows.shape), reversed(weights.shape), strict=False)
        fits = self.arrows.ndim <= weights.ndim and all(arrow in (1, size) for arrow, size in sizes)
        rule = f"knock_out_attention: arrows must fit weights {tuple(weights.shape)}, of inputs, heads, queries, keys"
        require(fits, rule, tuple(self.arrows.shape), _NO_ARROWS)
        excess = weights.detach().sum(-1) - 1
        rule = "knock_out_attention: weights must be a softmax, so that without an arrow the others share its weight"
        sums = bool((excess.abs() < _SUM_TOLERANCE).all())
        hint = "xnb.attribute(model, x, target, 'integrated_gradients')  # cuts no arrow"
        require(sums, rule, "weights that were mixed or scaled", hint)
