"""Methods that run the three stages of a Transformer one by one.

The stages are `tokens`, `blocks` and `readout`, as the protocol `xnb.models.vit.Transformer` describes them. A model
of another class will do if it has these members.
"""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xnb.access import hooks
from xnb.access.attention_capture import AttentionCapture
from xnb.access.chunking import chunks, join_chunks
from xnb.access.model_call import check_explainable
from xnb.access.score import changed_scores, chunk_gradient, score
from xnb.check import require
from xnb.methods.attention_pass import readout_shares
from xnb.methods.registry import method
from xnb.methods.token_layout import find_token_layout, place_tokens_on_input
from xnb.types import Attribution, Batch, Model, Target

STAGES = ("tokens", "blocks", "readout")  # of the protocol `xnb.models.vit.Transformer`
STAGES_HINT = "xnb.models.from_torchvision(model)  # or a module with tokens(x), blocks and readout(tokens)"


def _require_stages(model: Model, who: str) -> Any:
    """The model, if it is a module with the stages of a Transformer."""
    has_stages = all(hasattr(model, stage) for stage in STAGES)
    staged = isinstance(model, nn.Module) and has_stages
    require(staged, f"{who}: the model must have tokens, blocks and readout", type(model).__name__, STAGES_HINT)
    return model


@method(family="attention", needs="modules", cost="F + L B", paper="Bousselham et al. 2025, arXiv:2404.03214")
def legrad(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""How much more attention to a token would raise the score, read out behind each layer: the mean over layers.

    .. math:: \frac{1}{L}\sum_l \frac{1}{hN}\sum_{h,i} \Bigl(\frac{\partial f^l}{\partial A^l_{hij}}\Bigr)^+

    The slope alone, so it also lights up tokens that are not attended to. Unit: score per weight, never negative.
    The paper's rescaling to [0, 1] is left to the picture.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model does not have `tokens`, `blocks` and `readout`, or no attention was seen.
    """
    check_explainable(model, x, target)
    maps = []
    for rows in chunks(x, chunk):
        with AttentionCapture(len(x[rows])) as capture:
            layerwise = _read_out_each_block(_require_stages(model, "legrad"))
            gradients = chunk_gradient(layerwise, x[rows], target[rows], capture.weights).at_captured
        require(bool(capture.attentions), "legrad: no attention was seen", type(model).__name__)
        # cut at zero before the mean: heads and queries that disagree must not cancel
        by_layer = [gradient.clamp(min=0).mean((1, 2)) for gradient in gradients]
        attributions = torch.stack(by_layer).mean(0)
        maps.append(place_tokens_on_input(attributions, x[rows], "legrad"))
    return join_chunks(maps, x)


def _read_out_each_block(model: Any) -> Model:
    """A model whose logits are the sum of those that the readout gives to each block's output.

    Each block is on a graph of its own: the gradient at a block's attention is that of its own readout alone.
    """

    def run(x: Batch) -> Tensor:
        state = model.tokens(x)
        total = x.new_zeros(())
        for block in model.blocks:
            output = block(state)
            total = total + model.readout(output)
            state = output.detach()
        return total

    return run


@method(family="attention", needs="modules", cost="F + B", paper="Qiang et al. 2022, NeurIPS, AttCAT")
def attcat(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Each block's output times its slope, weighted by the attention to it, over all layers. Unit: score, signed.

    .. math:: \sum_l A^l_{rj} \sum_d h^l_{jd}\, \frac{\partial f}{\partial h^l_{jd}}

    A sum over layers counts the same evidence once for each, and a token deep in the network is a mixture.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model does not have `tokens`, `blocks` and `readout`, or no attention was seen.
    """
    check_explainable(model, x, target)
    maps = []
    for rows in chunks(x, chunk):
        captured: dict[str, Tensor] = {}
        with AttentionCapture(len(x[rows])) as capture:
            observed = _capture_blocks(_require_stages(model, "attcat"), captured, capture)
            gradients = chunk_gradient(observed, x[rows], target[rows], captured).at_captured
        shares = readout_shares(gradients[-1])
        terms = []
        # Outputs of the blocks come first in `captured`; the last attention's weights, behind them, have no term.
        layers = zip(capture.weights.values(), captured.values(), gradients, strict=False)
        for weights, state, gradient in layers:
            attention = torch.einsum("bn,bnm->bm", shares, weights.detach().mean(1))
            terms.append(attention * (state * gradient).sum(2))
        attributions = torch.stack(terms).sum(0).detach()
        maps.append(place_tokens_on_input(attributions, x[rows], "attcat"))
    return join_chunks(maps, x)


def _capture_blocks(model: Any, captured: dict[str, Tensor], capture: AttentionCapture) -> Model:
    """The model; each call leaves in `captured` the output of each block, then the last attention's weights."""

    def run(x: Batch) -> Tensor:
        state = model.tokens(x)
        for number, block in enumerate(model.blocks):
            state = block(state)
            captured[f"block {number}"] = state
        out = model.readout(state)
        require(bool(capture.attentions), "attcat: no attention was seen", type(model).__name__)
        captured["weights"] = capture.attentions[-1].weights
        return out

    return run


@method(
    family="attention",
    needs="modules",
    cost="F + B",
    paper="Selvaraju et al. 2017, arXiv:1610.02391, on tokens: Chefer et al. 2021, arXiv:2012.09838, baselines",
)
def token_cam(
    model: nn.Module, x: Batch, target: Target, *, layer: str | None = None, chunk: int | None = None
) -> Attribution:
    r"""Grad-CAM of a Transformer: channels of the patch tokens at `layer`, each weighted by its mean slope.

    .. math:: \Bigl(\sum_k \frac{1}{N}\sum_i \frac{\partial f}{\partial h_{ik}}\; h_{jk}\Bigr)^+

    Behind the last attention only the class token has a slope, so the last layer where this is defined is what
    enters that attention. The mean over places is made for networks that average them, which a class token does not.

    Args:
        layer: name of a layer with tokens `(B, N, D)`; the last block's first layer norm if omitted.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: no such layer, its output is not `(B, N, D)`, or it has no slope at the patches.
    """
    check_explainable(model, x, target)
    layer = layer or _find_last_norm(_require_stages(model, "token_cam"))
    maps = []
    for rows in chunks(x, chunk):
        with hooks.capture_outputs(model, layer) as outputs:
            (gradient,) = chunk_gradient(model, x[rows], target[rows], outputs).at_captured
        tokens = outputs[layer].detach()
        require(tokens.ndim == 3, "token_cam: the layer's output must be tokens (B, N, D)", tokens, "layer=None")
        prefix = find_token_layout(tokens.shape[1], x[rows], "token_cam").prefix
        gradient = torch.zeros_like(tokens) if gradient is None else gradient
        of_patches = gradient[:, prefix:]
        # Behind the last attention a class token alone is read: a map of zeros would look like an answer.
        reached = bool(of_patches.any())
        require(reached, "token_cam: the score must depend on the patches at the layer", layer, "layer=None")
        weights = of_patches.mean(1, keepdim=True)
        attributions = (weights * tokens).sum(2).clamp(min=0)
        maps.append(place_tokens_on_input(attributions, x[rows], "token_cam"))
    return join_chunks(maps, x)


def _find_last_norm(model: Any) -> str:
    """Name of the first layer norm in the last block: what enters the last attention."""
    last = model.blocks[-1] if len(model.blocks) else model
    inside = hooks.modules_by_name(last)
    norms = [name for name, module in inside.items() if isinstance(module, nn.LayerNorm)]
    require(bool(norms), "token_cam: the last block must have a layer norm", type(last).__name__, "layer='blocks.3'")
    modules = hooks.modules_by_name(model)
    block = next(name for name, module in modules.items() if module is last)
    return f"{block}.{norms[0]}"


@method(
    family="attention",
    needs="modules",
    cost="1 + N F, each shorter by the tokens dropped",
    paper="Zeiler & Fergus 2014, arXiv:1311.2901; dropping tokens: Jain et al. 2022, arXiv:2203.11086",
)
@torch.no_grad()
def token_occlusion(
    model: Model, x: Batch, target: Target, *, window: int = 1, chunk: int | None = None
) -> Attribution:
    r"""Drop in score when tokens are left out of the sequence: nothing is painted in their place. Unit: score.

    Positions stay with the tokens that are left, and a network that never saw a shorter sequence in training may
    still be surprised. Two copies of the evidence hide each other.

    Args:
        window: side of the square of patches that is left out together; 1 where tokens are no patches.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model does not have `tokens`, `blocks` and `readout`, or `window` does not fit.
    """
    check_explainable(model, x, target)
    whole = score(model, x, target, chunk=chunk)
    maps = []
    for rows in chunks(x, chunk, large=True):
        attributions = _occlude_tokens(model, x[rows], target[rows], whole[rows], window)
        maps.append(attributions)
    return join_chunks(maps, x)


def _occlude_tokens(model: Model, x: Batch, target: Target, whole: Tensor, window: int) -> Attribution:
    """Drop of one chunk's scores from `whole`, when each group of tokens is left out of the sequence."""
    staged = _require_stages(model, "token_occlusion")
    tokens = staged.tokens(x)
    N = tokens.shape[1]
    prefix, cells = find_token_layout(N, x, "token_occlusion")
    pieces = _group_pieces(N - prefix, cells, window)
    groups = prefix + pieces.to(x.device)
    numbers = torch.arange(N, device=x.device)
    rests = [numbers[~torch.isin(numbers, group)] for group in groups]
    rest = torch.stack(rests)

    def leave_out(draws: slice, rows: slice) -> Tensor:
        shorter = tokens[rows][:, rest[draws]]
        return shorter.transpose(0, 1)

    # The tokens stand in for the inputs: positions are in them already, so those that are left keep theirs.
    scores = changed_scores(partial(_run_from_tokens, staged), tokens, target, leave_out, len(groups))
    drops = (whole - scores).T
    attributions = tokens.new_zeros(len(x), N)
    attributions[:, groups] = drops[:, :, None]
    return place_tokens_on_input(attributions, x, "token_occlusion")


def _run_from_tokens(model: Any, tokens: Float[Tensor, "B N D"]) -> Tensor:
    """Logits from the tokens that enter the first block."""
    for block in model.blocks:
        tokens = block(tokens)
    return model.readout(tokens)


def _group_pieces(pieces: int, cells: tuple[int, int] | None, window: int) -> Int[Tensor, "G M"]:
    """Numbers of the pieces that are left out together, a row for each group."""
    rows, columns = (1, pieces) if cells is None else cells
    divides = window >= 1 and rows % window == 0 and columns % window == 0
    fits = divides and (window == 1 or cells is not None)
    require(fits, f"token_occlusion: window must divide the {rows} x {columns} tokens", window, "window=1")
    # Patches are numbered row by row: both axes are cut into windows, and then the windows are brought together.
    numbers = torch.arange(pieces)
    squares = numbers.view(rows // window, window, columns // window, window)
    return squares.transpose(1, 2).reshape(-1, window * window)
