"""One pass of the model that keeps what attention did, and attributions of tokens from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.attention.attention_capture import Attention, AttentionCapture
from xnb.access.chunking import chunks, join_chunks
from xnb.access.ledger import add_passes
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.access.targets import score_weights
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import refuse, require
from xnb.methods.second_choice import suggest_first
from xnb.methods.seen_attention import TokenKnobs, see_attention
from xnb.methods.token_layout import place_tokens_on_input
from xnb.types import Attribution, Batch, Model, Target


@dataclass(frozen=True)
class AttentionPass:
    """What attention did in one chunk, forward and backward.

    Attributes:
        layers: each layer's weights and values, in the order in which they ran.
        gradients: of the score, with respect to each layer's weights.
        after: names of the functions that ran behind the last attention.
    """

    layers: list[Attention]
    gradients: list[Float[Tensor, "B _ _ _"]]
    after: list[str]

    @property
    def shares(self) -> Float[Tensor, "B N"]:
        """How much each token is read in the end; they add up to 1, or are all 0."""
        return readout_shares(self.gradients[-1])

    def mean_weights(self) -> list[Float[Tensor, "B N M"]]:
        """Weights of each layer, the mean over heads."""
        return [layer.weights.detach().mean(1) for layer in self.layers]


def explain_tokens(
    model: Model,
    x: Batch,
    target: Target,
    knobs: TokenKnobs,
    who: str,
    attribute_tokens: Callable[[AttentionPass], Tensor],
    keys_of: int = 0,
) -> Attribution:
    """Run the model chunk by chunk and put the attribution of each token where the token is in the input.

    Args:
        who: the method, for error messages.
        attribute_tokens: from what attention did, the attribution of each token of its keys, (B, M).
        keys_of: which attention has these keys, counted from the first.
    """
    check_explainable(model, x, target)
    maps = []
    for rows in chunks(x, knobs.chunk):
        seen = see_attention(model, x, who)
        with select_rows(rows, len(x)):
            attention = _run_attention(model, x[rows], target[rows], seen.over_tokens)
        if keys_of == 0:
            _check_chain(model, x, target, attention.layers, who)
        attributions = attribute_tokens(attention)
        layout = seen.find_layout(attention.layers[keys_of].weights.shape[3], who, knobs)
        maps.append(place_tokens_on_input(attributions, x[rows], layout))
    return join_chunks(maps, x)


def _run_attention(model: Model, x: Batch, target: Target, over_tokens: Sequence[bool]) -> AttentionPass:
    """Run one chunk and keep those of its attentions that weigh tokens.

    A token is read if the score depends on its row of the last attention: the class token alone, or all that are
    averaged. This is seen from the gradients, so no convention about the first token is needed.
    """
    capture = AttentionCapture(len(x))

    def observed(inputs: Batch) -> Tensor:
        with capture:  # around the model alone, or what follows it would count as behind the last attention
            return model(inputs)

    at_weights = gradient_at(observed, x, target, capture.weights, over_tokens)
    layers = list(compress(capture.attentions, over_tokens))
    gradients = list(compress(at_weights, over_tokens))
    return AttentionPass(layers, gradients, capture.functions_after)


def _check_chain(model: Model, x: Batch, target: Target, layers: list[Attention], who: str) -> None:
    """Refuse attentions of which one does not read what the one before it hands on."""
    for layer, following in pairwise(layers):
        queries, keys = layer.weights.shape[2], following.weights.shape[3]
        if queries != keys:
            rule = f"{who}: each attention must read the tokens that the one before it hands on"
            hint = suggest_first(model, x, target, "raw_attention", "integrated_gradients")
            refuse(rule, f"{queries} tokens, then {keys}", hint)


def gradient_at(
    model: Model,
    x: Batch,
    target: Target,
    captured: Mapping[str, Tensor],
    needed: Sequence[bool] | None = None,
) -> list[Tensor]:
    """Gradients of the score where something was captured; the input itself may have none, as numbers of tokens do.

    Args:
        needed: which of them must be reached, None for all; what is not reached has gradient zero.
    """
    with torch.enable_grad():
        out = chunk_logits(model, x.detach().requires_grad_().clone())
        weights = score_weights(out, target)
        # A function without a slope, or weights that nothing follows, would give zeros that look like an answer.
        require(out.requires_grad, "score: no gradient reaches x", "an output without a graph", FORWARD_ONLY)
        places = list(captured.values())
        gradients = torch.autograd.grad(out, places, weights, allow_unused=True)
    lost = sum(gradient is None for gradient in compress(gradients, needed or [True] * len(places)))
    rule = "score: a gradient must reach all that is read inside the model"
    require(lost == 0, rule, f"none at {lost} of {len(places)}", FORWARD_ONLY)
    add_passes(backward=len(x))
    pairs = zip(gradients, places, strict=True)
    return [torch.zeros_like(place) if gradient is None else gradient for gradient, place in pairs]


def readout_shares(gradients: Float[Tensor, "B h N M"]) -> Float[Tensor, "B N"]:
    """How much each token is read in the end: equal shares for those whose row of the last attention matters.

    Args:
        gradients: of the score, with respect to the weights of the last attention.
    """
    is_read = (gradients != 0).any(3).any(1).to(gradients)
    return is_read / is_read.sum(1, keepdim=True).clamp(min=1)
