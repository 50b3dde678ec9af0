"""One pass of the model that keeps what attention did, and attributions of tokens from it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.attention_capture import Attention, AttentionCapture
from xnb.access.chunking import chunks, join_chunks
from xnb.access.model_call import check_explainable
from xnb.access.score import chunk_gradient
from xnb.check import require
from xnb.methods.token_layout import place_tokens_on_input
from xnb.types import Attribution, Batch, Model, Target

HINT = "xnb.attribute(model, x, target, 'integrated_gradients')  # or write attention as softmax(...) @ values"


@dataclass(frozen=True)
class AttentionPass:
    """What attention did in one chunk, forward and backward.

    Attributes:
        layers: each layer's weights and values, in the order in which they ran.
        gradients: of the score, with respect to each layer's weights.
        shares: how much each token is read in the end; they add up to 1, or are all 0.
        after: names of the functions that ran behind the last attention.
    """

    layers: list[Attention]
    gradients: list[Float[Tensor, "B h N M"]]
    shares: Float[Tensor, "B N"]
    after: list[str]

    def mean_weights(self) -> list[Float[Tensor, "B N M"]]:
        """Weights of each layer, the mean over heads."""
        return [layer.weights.detach().mean(1) for layer in self.layers]


def explain_tokens(
    model: Model,
    x: Batch,
    target: Target,
    chunk: int | None,
    who: str,
    attribute_tokens: Callable[[AttentionPass], Tensor],
) -> Attribution:
    """Run the model chunk by chunk and put the attribution of each token where the token is in the input.

    Args:
        who: the method, for error messages.
        attribute_tokens: from what attention did, the attribution of each token of its keys, (B, M).
    """
    check_explainable(model, x, target)
    maps = []
    for rows in chunks(x, chunk):
        attributions = attribute_tokens(_run_attention(model, x[rows], target[rows], who))
        maps.append(place_tokens_on_input(attributions, x[rows], who))
    return join_chunks(maps, x)


def _run_attention(model: Model, x: Batch, target: Target, who: str) -> AttentionPass:
    """Run one chunk and keep its attention.

    A token is read if the score depends on its row of the last attention: the class token alone, or all that are
    averaged. This is seen from the gradients, so no convention about the first token is needed.
    """
    capture = AttentionCapture(len(x))

    def observed(inputs: Batch) -> Tensor:
        with capture:  # around the model alone, or what follows it would count as behind the last attention
            return model(inputs)

    at_weights = chunk_gradient(observed, x, target, capture.weights).at_captured
    require(bool(capture.attentions), f"{who}: no attention was seen", "a forward pass without any", HINT)
    whole = all(len(layer.weights) == len(x) for layer in capture.attentions)
    require(whole, f"{who}: attention must be over whole inputs", "windows", HINT)
    gradients = []
    for weights, gradient in zip(capture.weights.values(), at_weights, strict=True):
        gradients.append(torch.zeros_like(weights) if gradient is None else gradient)
    return AttentionPass(capture.attentions, gradients, readout_shares(gradients[-1]), capture.functions_after)


def readout_shares(gradients: Float[Tensor, "B h N M"]) -> Float[Tensor, "B N"]:
    """How much each token is read in the end: equal shares for those whose row of the last attention matters.

    Args:
        gradients: of the score, with respect to the weights of the last attention.
    """
    is_read = (gradients != 0).any(3).any(1).to(gradients)
    return is_read / is_read.sum(1, keepdim=True).clamp(min=1)
