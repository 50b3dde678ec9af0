"""Where the tokens of a Transformer lie in its input, and methods that run its parts: `tokens`, `blocks`, `readout`."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xnb.access import hooks
from xnb.access.attention_capture import AttentionCapture
from xnb.access.score import changed_scores, check_explainable, chunk_gradient, chunks, join_chunks, score
from xnb.check import require
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

PREFIX = 32  # tokens in front that are no piece of the input: a class token and registers
PARTS = "xnb.models.from_torchvision(model)  # or a module with tokens(x), blocks and readout(tokens)"


def layout(tokens: int, x: Batch, who: str) -> tuple[int, tuple[int, int] | None]:
    """How many tokens in front are no piece of the input, and rows and columns of those that are patches."""
    if x.ndim != 4:
        prefix = tokens - x.shape[1]
        require(0 <= prefix <= PREFIX, f"{who}: tokens must be the {x.shape[1]} pieces of the input", tokens)
        return prefix, None
    H, W = x.shape[2:]
    sides = [side for side in range(1, min(H, W) + 1) if H % side == 0 and W % side == 0]
    fits = [(tokens - H * W // side**2, (H // side, W // side)) for side in sides]
    fits = [(prefix, cells) for prefix, cells in fits if 0 <= prefix <= PREFIX and 2 * prefix < tokens]
    require(bool(fits), f"{who}: tokens must be square patches of the picture {H} x {W}", f"{tokens} tokens")
    return min(fits)


def placed(worth: Float[Tensor, "B N"], x: Batch, who: str) -> Attribution:
    """Each token's worth where its piece of the input lies; what the tokens in front are worth is left out."""
    prefix, cells = layout(worth.shape[1], x, who)
    worth = worth[:, prefix:].to(x)
    if cells is None:
        return worth.view(*worth.shape, *[1] * (x.ndim - 2))
    side = x.shape[2] // cells[0]
    return worth.unflatten(1, (1, *cells)).repeat_interleave(side, 2).repeat_interleave(side, 3)


def transformer(model: Model, who: str) -> nn.Module:
    """The model, if it has the three parts of a Transformer."""
    there = isinstance(model, nn.Module) and all(hasattr(model, part) for part in ("tokens", "blocks", "readout"))
    require(there, f"{who}: the model must have tokens, blocks and readout", type(model).__name__, PARTS)
    return model


def states(model: nn.Module, x: Batch) -> list[Tensor]:
    """Tokens that enter the first block, and what each block makes of them."""
    found = [model.tokens(x)]
    for block in model.blocks:
        found.append(block(found[-1]))
    return found


@method(family="attention", needs="modules", cost="F + L B", paper="Bousselham et al. 2025, arXiv:2404.03214")
def legrad(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""How much more attention to a token would raise the score, read out behind each layer: the mean over layers.

    .. math:: \frac{1}{L}\sum_l \frac{1}{hN}\sum_{h,i} \Bigl(\frac{\partial f^l}{\partial A^l_{hij}}\Bigr)^+

    The slope alone, so it also lights up tokens that are not attended to. Unit: score per weight, never negative.
    The paper's rescaling to [0, 1] is left to the picture.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model does not have the parts `tokens`, `blocks` and `readout`, or no attention was seen.
    """
    check_explainable(model, x, target)
    parts = []
    for part in chunks(x, chunk):
        with AttentionCapture(len(x[part])) as mode:
            surrogate = layer_by_layer(transformer(model, "legrad"))
            slopes = chunk_gradient(surrogate, x[part], target[part], mode.weights).at_captured
        require(bool(mode.found), "legrad: no attention was seen", type(model).__name__)
        worth = torch.stack([slope.clamp(min=0).mean((1, 2)) for slope in slopes]).mean(0)
        parts.append(placed(worth, x[part], "legrad"))
    return join_chunks(parts, x)


def layer_by_layer(model: nn.Module) -> Model:
    """Sum of the logits that the readout gives to each block's output, each block on a graph of its own."""

    def run(x: Batch) -> Tensor:
        state, total = model.tokens(x), 0
        for block in model.blocks:
            state = block(state)
            total, state = total + model.readout(state), state.detach()
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
        ValueError: the model does not have the parts `tokens`, `blocks` and `readout`, or no attention was seen.
    """
    check_explainable(model, x, target)
    parts = []
    for part in chunks(x, chunk):
        held: dict[str, Tensor] = {}
        with AttentionCapture(len(x[part])) as mode:
            kept = keeping(transformer(model, "attcat"), held, mode)
            slopes = chunk_gradient(kept, x[part], target[part], held).at_captured
        layers = [weights.detach().mean(1) for weights in mode.weights.values()]
        read = read_from(slopes[-1])
        terms = [
            torch.einsum("bn,bnm->bm", read, weights) * (state * slope).sum(2)
            for weights, state, slope in zip(layers, held.values(), slopes, strict=False)
        ]
        parts.append(placed(torch.stack(terms).sum(0).detach(), x[part], "attcat"))
    return join_chunks(parts, x)


def keeping(model: nn.Module, held: dict[str, Tensor], mode: AttentionCapture) -> Model:
    """The model, which holds the output of each block and, at the end, the last attention's weights."""

    def run(x: Batch) -> Tensor:
        held.update({f"block {number}": state for number, state in enumerate(states(model, x)[1:])})
        out = model.readout(list(held.values())[-1])
        require(bool(mode.found), "attcat: no attention was seen", type(model).__name__)
        held["weights"] = mode.found[-1].weights
        return out

    return run


def read_from(slopes: Float[Tensor, "B h N M"]) -> Float[Tensor, "B N"]:
    """How much each token is read in the end: equal shares for those whose row of the last attention matters."""
    rows = (slopes != 0).any(3).any(1).to(slopes)
    return rows / rows.sum(1, keepdim=True).clamp(min=1)


@method(
    family="attention",
    needs="modules",
    cost="F + B",
    paper="Selvaraju et al. 2017, arXiv:1610.02391, on tokens: Chefer et al. 2021, arXiv:2012.09838, baselines",
)
def token_cam(
    model: Model, x: Batch, target: Target, *, layer: str | None = None, chunk: int | None = None
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
    parts, layer = [], layer or last_norm(transformer(model, "token_cam"))
    for part in chunks(x, chunk):
        with hooks.capture_outputs(model, layer) as seen:
            (slopes,) = chunk_gradient(model, x[part], target[part], seen).at_captured
        tokens = seen[layer].detach()
        require(tokens.ndim == 3, "token_cam: the layer's output must be tokens (B, N, D)", tokens, "layer=None")
        prefix, _ = layout(tokens.shape[1], x[part], "token_cam")
        slopes = torch.zeros_like(tokens) if slopes is None else slopes
        reached = bool(slopes[:, prefix:].any())
        require(reached, "token_cam: the score must depend on the patches at the layer", layer, "layer=None")
        weights = slopes[:, prefix:].mean(1, keepdim=True)
        parts.append(placed((weights * tokens).sum(2).clamp(min=0), x[part], "token_cam"))
    return join_chunks(parts, x)


def last_norm(model: nn.Module) -> str:
    """Name of the first layer norm in the last block: what enters the last attention."""
    last = model.blocks[-1] if len(model.blocks) else model
    inside = [name for name, module in hooks.modules_by_name(last).items() if isinstance(module, nn.LayerNorm)]
    require(bool(inside), "token_cam: the last block must have a layer norm", type(last).__name__, "layer='blocks.3'")
    return f"{next(name for name, module in hooks.modules_by_name(model).items() if module is last)}.{inside[0]}"


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
        ValueError: the model does not have the parts `tokens`, `blocks` and `readout`, or `window` does not fit.
    """
    check_explainable(model, x, target)
    whole = score(model, x, target, chunk=chunk)
    parts = [_dropped(model, x[part], target[part], whole[part], window) for part in chunks(x, chunk, large=True)]
    return join_chunks(parts, x)


def _dropped(model: Model, x: Batch, target: Target, whole: Tensor, window: int) -> Attribution:
    tokens = transformer(model, "token_occlusion").tokens(x)
    N = tokens.shape[1]
    prefix, cells = layout(N, x, "token_occlusion")
    group = grouped(N - prefix, cells, window).to(x.device)
    everything = torch.arange(N, device=x.device)
    left = torch.stack([everything[~torch.isin(everything, prefix + members)] for members in group])

    def change(some: slice, part: slice) -> Tensor:
        return tokens[part][:, left[some]].transpose(0, 1)

    worth = tokens.new_zeros(len(x), N)
    scores = changed_scores(lambda kept: tail(model, kept), tokens, target, change, len(group))
    worth[:, prefix + group] = (whole - scores).T[:, :, None]
    return placed(worth, x, "token_occlusion")


def tail(model: nn.Module, tokens: Float[Tensor, "B N D"]) -> Tensor:
    """Logits from the tokens that enter the first block."""
    for block in model.blocks:
        tokens = block(tokens)
    return model.readout(tokens)


def grouped(pieces: int, cells: tuple[int, int] | None, window: int) -> Int[Tensor, "G M"]:
    """Numbers of the tokens that are left out together."""
    rows, columns = (1, pieces) if cells is None else cells
    fits = window >= 1 and rows % window == 0 and columns % window == 0 and (window == 1 or cells is not None)
    require(fits, f"token_occlusion: window must divide the {rows} x {columns} tokens", window, "window=1")
    numbers = torch.arange(pieces).view(rows // window, window, columns // window, window)
    return numbers.transpose(1, 2).reshape(-1, window * window)
