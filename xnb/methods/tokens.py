"""Methods that run the three stages of a Transformer one by one.

The stages are `tokens`, `blocks` and `readout`. A model has them as members, as the protocol
`xnb.models.vit.Transformer` describes, or they are found by watching it run (`xnb.access.attention.stages`).
"""

from itertools import compress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from xnb.access import hooks
from xnb.access.attention.attention_capture import AttentionCapture
from xnb.access.attention.stages import find_stages
from xnb.access.chunking import chunks, join_chunks
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.check import refuse, require
from xnb.methods.attention_pass import gradient_at, readout_shares
from xnb.methods.registry import method
from xnb.methods.second_choice import suggest_first
from xnb.methods.seen_attention import TokenKnobs, require_attention, see_attention
from xnb.methods.token_layout import Patch, Special, place_tokens_on_input
from xnb.types import Attribution, Batch, Model, Target

_OTHERS = "rollout", "raw_attention", "integrated_gradients"  # that ask for less, the most alike first


@method(
    family="attention",
    needs="modules",
    cost="F + B, with a readout a block, and a look at one input",
    paper="Bousselham et al. 2025, arXiv:2404.03214",
    sign="none",
)
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

    .. math:: a_j = \frac{1}{L}\sum_l \frac{1}{HN}\sum_{h,i} \Bigl(\frac{\partial f^l}{\partial A^l_{hij}}\Bigr)^+

    Here :math:`f^l` is the score that the readout gives to the output of block :math:`l`, :math:`A^l_{hij}` the weight
    of head :math:`h` from query :math:`i` to token :math:`j`. The slope alone, so it also lights up tokens that are not
    attended to. Unit: score per weight, never negative. The paper's rescaling to [0, 1] is left to the picture.

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
        broken = _find_uneven(gradients, seen.over_tokens)
        if broken:
            refuse(f"legrad: {broken.rule}", broken.got, suggest_first(model, x, target, *_OTHERS))
        # cut at zero before the mean: heads and queries that disagree must not cancel
        by_layer = [gradient.clamp(min=0).mean((1, 2)) for gradient in compress(gradients, seen.over_tokens)]
        attributions = torch.stack(by_layer).mean(0)
        layout = seen.find_layout(attributions.shape[1], "legrad", TokenKnobs(chunk, special, patch))
        maps.append(place_tokens_on_input(attributions, x[rows], layout))
    return join_chunks(maps, x)


def _read_out_each_block(stages: Any, capture: AttentionCapture) -> Model:
    """A model whose logits are the sum of those that the readout gives to each block's output.

    Each block is on a graph of its own: the gradient at a block's attention is that of its own readout alone.
    """

    def run(x: Batch) -> Tensor:
        state = stages.tokens(x.clone())
        total = x.new_zeros(())
        for block in stages.blocks:
            with capture:
                output = block(state)
            total = total + stages.readout(output)
            # on a graph also where the weights are frozen, as those of `prepare` are
            state = output.detach().requires_grad_()
        return total

    return run


class _Broken(NamedTuple):
    """What a method asks of the attentions, and what was seen in its place."""

    rule: str
    got: object


def _find_uneven(in_blocks: list[Tensor], over_tokens: list[bool]) -> _Broken | None:
    """What keeps the blocks from being added up: an attention outside them, or one over other tokens.

    Args:
        in_blocks: what belongs to the attentions that ran in the blocks, (B, h, N, M) each.
        over_tokens: for each attention of the model, whether it weighs tokens.
    """
    if len(in_blocks) != len(over_tokens):
        return _Broken("all attention must be in one row of blocks", f"{len(in_blocks)} of {len(over_tokens)}")
    sizes = {tuple(layer.shape[2:]) for layer in compress(in_blocks, over_tokens)}
    if len(sizes) != 1:
        return _Broken("the blocks must have attention over the same tokens", sorted(sizes))
    return None


@method(
    family="attention",
    needs="modules",
    cost="F + B, and a look at one input",
    paper="Qiang et al. 2022, NeurIPS, AttCAT",
)
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

    .. math:: a_j = \sum_l \bar A^l_{rj} \sum_d h^l_{jd}\, \frac{\partial f}{\partial h^l_{jd}}

    Here :math:`h^l_j` is token :math:`j` behind block :math:`l`, :math:`\bar A^l_{rj}` the attention to it, the mean
    over heads, of the token :math:`r` that the score reads. A sum over layers counts the same evidence once for each,
    and a token deep in the network is a mixture.

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
        in_blocks = [layer.weights for layer in capture.attentions]
        weights = list(compress(in_blocks, seen.over_tokens))
        broken = _find_uneven(in_blocks, seen.over_tokens)
        if not broken and len(weights) != len(stages.blocks):
            broken = _Broken("each block must have one attention", f"{len(weights)} attentions")
        if broken:
            refuse(f"attcat: {broken.rule}", broken.got, suggest_first(model, x, target, *_OTHERS))
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
        state = stages.tokens(x.clone())
        for number, block in enumerate(stages.blocks):
            with capture:
                state = block(state)
            captured[f"block {number}"] = state
        require_attention(capture.attentions, stages.model, x, "attcat")
        captured["weights"] = capture.attentions[-1].weights
        return stages.readout(state)

    return run


@method(
    family="attention",
    needs="modules",
    cost="F + B, and a look at one input",
    paper="after Selvaraju et al. 2017, arXiv:1610.02391; another form: Chefer et al. 2021, arXiv:2012.09838",
    sign="none",
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

    .. math:: a_j = \Bigl(\sum_k \frac{1}{N}\sum_i \frac{\partial f}{\partial h_{ik}}\; h_{jk}\Bigr)^+

    Here :math:`h_{jk}` is channel :math:`k` of patch :math:`j`, one of :math:`N`, at the layer. Behind the last
    attention only the class token has a slope, so the last layer where this is defined is what enters that attention.
    The mean over places is made for networks that average them, which a class token does not. Chefer et al. use the
    name for another map: channels are the heads of the class token's last attention.

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
        name = layer or _find_norm_of_last_attention(model, x, target)
        with hooks.capture_outputs(model, name) as outputs, select_rows(rows, len(x)):
            (gradient,) = gradient_at(model, x[rows], target[rows], outputs)
        tokens = outputs[name].detach()
        require(tokens.ndim == 3, "token_cam: the layer's output must be tokens (B, N, D)", tokens, "layer=None")
        seen = see_attention(model, x, "token_cam")
        rule = "token_cam: the layer must have as many tokens as an attention reads"
        require(tokens.shape[1] in seen.tokens, rule, tokens, "layer=None")
        layout = seen.find_layout(tokens.shape[1], "token_cam", TokenKnobs(chunk, special, patch))
        of_patches = gradient[:, layout.pieces]
        # Behind the last attention a class token alone is read: a map of zeros would look like an answer.
        if not of_patches.any():
            rule = "token_cam: the score must depend on the patches at the layer"
            refuse(rule, name, suggest_first(model, x, target, *_OTHERS))
        weights = of_patches.mean(1, keepdim=True)
        attributions = (weights * tokens).sum(2).clamp(min=0)
        maps.append(place_tokens_on_input(attributions, x[rows], layout))
    return join_chunks(maps, x)


def _find_norm_of_last_attention(model: nn.Module, x: Batch, target: Target) -> str:
    """Name of the layer norm that runs first in the last block: what it returns enters the last attention."""
    blocks = find_stages(model, x, "token_cam").modules
    names = {id(module): name for name, module in hooks.modules_by_name(model).items()}
    norms = [names[id(module)] for module in blocks[-1].modules() if isinstance(module, nn.LayerNorm | nn.RMSNorm)]
    if not norms:
        before = f"layer={names[id(blocks[-2])]!r}" if len(blocks) > 1 else ""
        hint = before or suggest_first(model, x, target, *_OTHERS)
        refuse("token_cam: the last block must have a layer norm", type(blocks[-1]).__name__, hint)
    with torch.no_grad(), hooks.capture_outputs(model, *norms) as outputs, select_rows(slice(0, 1), len(x)):
        chunk_logits(model, x[:1].clone())
    return next(iter(outputs))  # filled in as layers run
