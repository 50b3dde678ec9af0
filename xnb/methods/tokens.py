"""Methods that run the three stages of a Transformer one by one.

The stages are `tokens`, `blocks` and `readout`. A model has them as members, as the protocol
`xnb.models.vit.Transformer` describes, or they are found by watching it run (`xnb.access.attention.stages`).
"""

from itertools import compress
from typing import Any

import torch
from torch import Tensor, nn

from xnb.access import hooks
from xnb.access.attention.attention_capture import AttentionCapture
from xnb.access.attention.stages import find_stages
from xnb.access.chunking import chunks, join_chunks
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.check import require
from xnb.methods.attention_pass import gradient_at, readout_shares
from xnb.methods.registry import method
from xnb.methods.seen_attention import SeenAttention, TokenKnobs, require_attention, see_attention
from xnb.methods.token_layout import Patch, Special, place_tokens_on_input
from xnb.types import Attribution, Batch, Model, Target

_ROLLOUT = "xnb.attribute(model, x, target, 'rollout')"


@method(family="attention", needs="modules", cost="F + L B", paper="Bousselham et al. 2025, arXiv:2404.03214")
def legrad(
    model: Model,
    x: Batch,
    target: Target,
    *,
    chunk: int | None = None,
    special: Special = None,
    patch: Patch = None,
) -> Attribution:
    r"""How much more attention to a token would raise the score, read out behind each layer: the mean over layers.

    .. math:: \frac{1}{L}\sum_l \frac{1}{hN}\sum_{h,i} \Bigl(\frac{\partial f^l}{\partial A^l_{hij}}\Bigr)^+

    The slope alone, so it also lights up tokens that are not attended to. Unit: score per weight, never negative.
    The paper's rescaling to [0, 1] is left to the picture.

    Args:
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: the model has no row of blocks that hand tokens to one another, or no attention was seen.
    """
    check_explainable(model, x, target)
    maps = []
    for rows in chunks(x, chunk):
        stages = find_stages(model, x, "legrad")
        seen = see_attention(model, x, "legrad")
        capture = AttentionCapture(len(x[rows]))
        with select_rows(rows, len(x)):
            gradients = gradient_at(_read_out_each_block(stages, capture), x[rows], target[rows], capture.weights)
        gradients = _only_over_tokens(gradients, seen, "legrad")
        # cut at zero before the mean: heads and queries that disagree must not cancel
        by_layer = [gradient.clamp(min=0).mean((1, 2)) for gradient in gradients]
        attributions = torch.stack(by_layer).mean(0)
        layout = seen.find_layout(attributions.shape[1], "legrad", TokenKnobs(chunk, special, patch))
        maps.append(place_tokens_on_input(attributions, x[rows], layout))
    return join_chunks(maps, x)


def _read_out_each_block(stages: Any, capture: AttentionCapture) -> Model:
    """A model whose logits are the sum of those that the readout gives to each block's output.

    Each block is on a graph of its own: the gradient at a block's attention is that of its own readout alone.
    """

    def run(x: Batch) -> Tensor:
        state = stages.tokens(x)
        total = x.new_zeros(())
        for block in stages.blocks:
            with capture:
                output = block(state)
            total = total + stages.readout(output)
            state = output.detach()
        return total

    return run


def _only_over_tokens(layers: list, seen: SeenAttention, who: str) -> list[Tensor]:
    """Of what belongs to the attentions of all blocks, that of those which weigh tokens, each as many."""
    remaining = list(compress(layers, seen.over_tokens))
    rule = f"{who}: the blocks must have attention over the same tokens"
    sizes = {tuple(layer.shape[1:]) for layer in remaining}
    require(len(sizes) == 1, rule, sorted(sizes), _ROLLOUT)
    return remaining


@method(family="attention", needs="modules", cost="F + B", paper="Qiang et al. 2022, NeurIPS, AttCAT")
def attcat(
    model: Model,
    x: Batch,
    target: Target,
    *,
    chunk: int | None = None,
    special: Special = None,
    patch: Patch = None,
) -> Attribution:
    r"""Each block's output times its slope, weighted by the attention to it, over all layers. Unit: score, signed.

    .. math:: \sum_l A^l_{rj} \sum_d h^l_{jd}\, \frac{\partial f}{\partial h^l_{jd}}

    A sum over layers counts the same evidence once for each, and a token deep in the network is a mixture.

    Args:
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: the model has no row of blocks that hand tokens to one another, or no attention was seen.
    """
    check_explainable(model, x, target)
    maps = []
    for rows in chunks(x, chunk):
        stages = find_stages(model, x, "attcat")
        seen = see_attention(model, x, "attcat")
        captured: dict[str, Tensor] = {}
        capture = AttentionCapture(len(x[rows]))
        with select_rows(rows, len(x)):
            gradients = gradient_at(_capture_blocks(stages, captured, capture), x[rows], target[rows], captured)
        weights = _only_over_tokens([layer.weights for layer in capture.attentions], seen, "attcat")
        one_each = len(weights) == len(stages.blocks)
        require(one_each, "attcat: each block must have one attention", f"{len(weights)} attentions", _ROLLOUT)
        shares = readout_shares(gradients[-1])
        terms = []
        # Outputs of the blocks come first in `captured`; the last attention's weights, behind them, have no term.
        for layer, state, gradient in zip(weights, captured.values(), gradients, strict=False):
            attention = torch.einsum("bn,bnm->bm", shares, layer.detach().mean(1))
            terms.append(attention * (state * gradient).sum(2))
        attributions = torch.stack(terms).sum(0).detach()
        layout = seen.find_layout(attributions.shape[1], "attcat", TokenKnobs(chunk, special, patch))
        maps.append(place_tokens_on_input(attributions, x[rows], layout))
    return join_chunks(maps, x)


def _capture_blocks(stages: Any, captured: dict[str, Tensor], capture: AttentionCapture) -> Model:
    """The model; each call leaves in `captured` the output of each block, then the last attention's weights."""

    def run(x: Batch) -> Tensor:
        state = stages.tokens(x)
        for number, block in enumerate(stages.blocks):
            with capture:
                state = block(state)
            captured[f"block {number}"] = state
        require_attention(capture.attentions, len(x), "attcat")
        captured["weights"] = capture.attentions[-1].weights
        return stages.readout(state)

    return run


@method(
    family="attention",
    needs="modules",
    cost="F + B",
    paper="Selvaraju et al. 2017, arXiv:1610.02391, on tokens: Chefer et al. 2021, arXiv:2012.09838, baselines",
)
def token_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: str | None = None,
    chunk: int | None = None,
    special: Special = None,
    patch: Patch = None,
) -> Attribution:
    r"""Grad-CAM of a Transformer: channels of the patch tokens at `layer`, each weighted by its mean slope.

    .. math:: \Bigl(\sum_k \frac{1}{N}\sum_i \frac{\partial f}{\partial h_{ik}}\; h_{jk}\Bigr)^+

    Behind the last attention only the class token has a slope, so the last layer where this is defined is what
    enters that attention. The mean over places is made for networks that average them, which a class token does not.

    Args:
        layer: name of a layer with tokens `(B, N, D)`; the last block's first layer norm if omitted.
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: no such layer, its output is not `(B, N, D)`, or it has no slope at the patches.
    """
    check_explainable(model, x, target)
    maps = []
    for rows in chunks(x, chunk):
        name = layer or _find_last_norm(model, x)
        with hooks.capture_outputs(model, name) as outputs, select_rows(rows, len(x)):
            (gradient,) = gradient_at(model, x[rows], target[rows], outputs)
        tokens = outputs[name].detach()
        require(tokens.ndim == 3, "token_cam: the layer's output must be tokens (B, N, D)", tokens, "layer=None")
        seen = see_attention(model, x, "token_cam")
        layout = seen.find_layout(tokens.shape[1], "token_cam", TokenKnobs(chunk, special, patch))
        of_patches = gradient[:, layout.pieces]
        # Behind the last attention a class token alone is read: a map of zeros would look like an answer.
        reached = bool(of_patches.any())
        require(reached, "token_cam: the score must depend on the patches at the layer", name, _ROLLOUT)
        weights = of_patches.mean(1, keepdim=True)
        attributions = (weights * tokens).sum(2).clamp(min=0)
        maps.append(place_tokens_on_input(attributions, x[rows], layout))
    return join_chunks(maps, x)


def _find_last_norm(model: nn.Module, x: Batch) -> str:
    """Name of the layer norm that runs first in the last block: what enters the last attention."""
    last = find_stages(model, x, "token_cam").modules[-1]
    inside = {id(module) for module in last.modules() if isinstance(module, nn.LayerNorm | nn.RMSNorm)}
    norms = [name for name, module in hooks.modules_by_name(model).items() if id(module) in inside]
    require(bool(norms), "token_cam: the last block must have a layer norm", type(last).__name__, "layer='blocks.3'")
    with torch.no_grad(), hooks.capture_outputs(model, *norms) as outputs, select_rows(slice(0, 1), len(x)):
        chunk_logits(model, x[:1])
    return next(iter(outputs))  # filled in as layers run
