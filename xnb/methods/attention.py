"""Methods that read what attention did: which tokens were weighted, and what that did to the score."""

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.attention.attention_capture import CARRIED, Attention
from xnb.check import refuse, require
from xnb.methods.attention_pass import AttentionPass, explain_tokens
from xnb.methods.registry import method
from xnb.methods.second_choice import suggest_first
from xnb.methods.seen_attention import TokenKnobs
from xnb.methods.token_layout import Patch, Special
from xnb.types import Attribution, Batch, Model, Target

# Functions that may follow the pooling: the linear head, and what only moves values or asks for a size.
# `tensor` makes numbers that come from no input, as `adapters.contrast` makes its weights.
LINEAR = CARRIED | {"linear", "flatten", "__getitem__", "__get__", "size", "dim", "identity", "tensor"}


def _trace_back(shares: Float[Tensor, "B N"], steps: list[Float[Tensor, "B N M"]]) -> Float[Tensor, "B M"]:
    """Shares of the tokens that are read in the end, handed back through a matrix for each layer, the last first."""
    for step in reversed(steps):
        shares = torch.einsum("bn,bnm->bm", shares, step)
    return shares


def add_residual(weights: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
    """Half attention, half the token itself; a pooling layer, with fewer queries than keys, has no shortcut."""
    N, M = weights.shape[1:]
    if N != M:
        return weights
    identity = torch.eye(N, dtype=weights.dtype, device=weights.device)
    return (weights + identity) / 2


@method(
    family="attention",
    needs="gradient",
    cost="F + B, and a look at one input",
    axioms=("target_free",),
    paper="Bahdanau et al. 2015, arXiv:1409.0473; as an explanation: Jain & Wallace 2019, arXiv:1902.10186",
    sign="none",
)
def raw_attention(
    model: Model,
    x: Batch,
    target: Target,
    *,
    block: int = -1,
    head: int | None = None,
    chunk: int | None = None,
    special: Special = None,
    patch: Patch = None,
) -> Attribution:
    r"""Weight that one layer's attention gives to each token, the mean over heads. Sums to at most 1.

    .. math:: a_j = \frac{1}{|R|\,H} \sum_{r \in R} \sum_h A^h_{rj}

    Here :math:`A^h` are the weights of head :math:`h`, and :math:`R` the tokens that the score reads, all that a
    gradient is for. Weights are never negative and the same for every class: they cannot say against, nor for which.
    What a weight moves is its value, which may be nothing, and in deeper layers a token is no longer its own patch.

    Args:
        block: which attention, counted from the first; -1 is the last.
        head: one head instead of the mean over heads.
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: no attention was seen, or there is no such block or head.
    """

    def read_weights(attention: AttentionPass) -> Tensor:
        return _trace_back(attention.shares, [_select_weights(attention.layers, block, head)])

    knobs = TokenKnobs(chunk, special, patch)
    return explain_tokens(model, x, target, knobs, "raw_attention", read_weights, keys_of=block)


def _select_weights(layers: list[Attention], block: int, head: int | None) -> Float[Tensor, "B N M"]:
    """Weights of one block: of one head, or the mean over heads."""
    n = len(layers)
    rule = f"raw_attention: block must lie in [{-n}, {n})"
    require(-n <= block < n, rule, block, "block=-1")
    weights = layers[block].weights.detach()
    if head is None:
        return weights.mean(1)
    heads = weights.shape[1]
    hint = "head=None  # the mean over heads"
    require(0 <= head < heads, f"raw_attention: head must lie in [0, {heads})", head, hint)
    return weights[:, head]


@method(
    family="attention",
    needs="gradient",
    cost="F + B, and a look at one input",
    axioms=("target_free",),
    paper="Kobayashi et al. 2020, arXiv:2004.10102",
    sign="none",
)
def value_weighted_attention(
    model: Model, x: Batch, target: Target, *, chunk: int | None = None, special: Special = None, patch: Patch = None
) -> Attribution:
    r"""Length of what the last attention moves from each token: its weight times the length of its value.

    .. math:: a_j = \frac{1}{|R|\,H} \sum_{r \in R} \sum_h A^h_{rj}\, \lVert v^h_j \rVert

    Here :math:`A^h, v^h` are weights and values of head :math:`h`, :math:`R` the tokens that the score reads. A weight
    on a value of length zero moves nothing. Lengths have no sign and are the same for every class; a gradient only
    finds :math:`R`. The source also applies the output projection and sums the heads before it takes the length, so
    that heads may cancel; here they cannot. Unit: that of the values, before the heads are joined.

    Args:
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: no attention was seen.
    """

    def weigh_values(attention: AttentionPass) -> Tensor:
        last = attention.layers[-1]
        lengths = last.values.detach().norm(dim=3)
        weighted = last.weights.detach() * lengths[:, :, None]
        return _trace_back(attention.shares, [weighted.mean(1)])

    knobs = TokenKnobs(chunk, special, patch)
    return explain_tokens(model, x, target, knobs, "value_weighted_attention", weigh_values, keys_of=-1)


@method(
    family="attention",
    needs="gradient",
    cost="F + B, and a look at one input",
    axioms=("target_free",),
    paper="Abnar & Zuidema 2020, arXiv:2005.00928",
    sign="none",
)
def rollout(
    model: Model, x: Batch, target: Target, *, chunk: int | None = None, special: Special = None, patch: Patch = None
) -> Attribution:
    r"""Attention multiplied through all layers, as if each block only mixed tokens, half of it by its shortcut.

    .. math:: a = s^\top \hat A^L \cdots \hat A^1, \qquad \hat A^l = \tfrac12 (\bar A^l + I)

    Here :math:`\bar A^l` are the weights of layer :math:`l`, the mean over heads, :math:`s` equal shares of the tokens
    that the score reads. All tokens together have 1, those that are no piece of the input among them. The identity
    stands for the shortcut, though the true shares of shortcut and attention differ by layer; the values, the
    differences between heads and the layers between are left out. The same for all classes; a gradient finds :math:`s`.

    Args:
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: no attention was seen.
    """

    def multiply_layers(attention: AttentionPass) -> Tensor:
        steps = [add_residual(weights) for weights in attention.mean_weights()]
        return _trace_back(attention.shares, steps)

    knobs = TokenKnobs(chunk, special, patch)
    return explain_tokens(model, x, target, knobs, "rollout", multiply_layers)


@method(
    family="attention",
    needs="gradient",
    cost="F + B, and a look at one input",
    paper="Barkan et al. 2021, doi:10.1145/3459637.3482126; last layer: arXiv:2103.15679, baselines",
)
def gradient_weighted_attention(
    model: Model, x: Batch, target: Target, *, chunk: int | None = None, special: Special = None, patch: Patch = None
) -> Attribution:
    r"""What the last attention's weight on each token adds to the score, to first order. Unit: score, signed.

    .. math:: a_j = \sum_{h,i} A^h_{ij}\, \frac{\partial f}{\partial A^h_{ij}}

    Here :math:`A^h_{ij}` is the weight of head :math:`h` from query :math:`i` to token :math:`j`. Of one query it
    equals the weighted value seen along the score's slope, :math:`A_j\, \nabla_z f \cdot v_j`: with a linear head it is
    the exact share of each token in the pooled score. Weights are taken as free, though they sum to 1. Grad-SAM, the
    source, takes the mean over all layers and cuts the slope at zero; here it is the last layer, with signs.

    Args:
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: no attention was seen.
    """

    def weigh_gradients(attention: AttentionPass) -> Tensor:
        weights = attention.layers[-1].weights.detach()
        return (weights * attention.gradients[-1]).sum((1, 2))

    knobs = TokenKnobs(chunk, special, patch)
    return explain_tokens(model, x, target, knobs, "gradient_weighted_attention", weigh_gradients, keys_of=-1)


@method(
    family="attention",
    needs="gradient",
    cost="F + B, and a look at one input",
    paper="Chefer, Gur & Wolf 2021, arXiv:2103.15679",
    sign="none",
)
def chefer(
    model: Model, x: Batch, target: Target, *, chunk: int | None = None, special: Special = None, patch: Patch = None
) -> Attribution:
    r"""Attention times its gradient, positive part, collected layer by layer. No unit: powers of it add up.

    .. math:: R \leftarrow R + \bar A^l R, \qquad
        \bar A^l = \frac{1}{H}\sum_h \Bigl(A^l_h \odot \frac{\partial f}{\partial A^l_h}\Bigr)^+, \qquad
        a = s^\top (R - I)

    Here :math:`A^l_h` are the weights of head :math:`h`, :math:`R` starts as :math:`I`, and :math:`s` are equal shares
    of the tokens that the score reads. Only what raises the score is kept, in each head and entry, so evidence against
    is invisible and opposing entries do not cancel. The identity, which is the same for all tokens, is left out.

    Args:
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: no attention was seen.
    """

    def collect_relevance(attention: AttentionPass) -> Tensor:
        relevance = attention.shares
        # shares (I + A^L) ... (I + A^1), one vector at a time: the matrix R itself is never needed
        for layer, gradient in zip(reversed(attention.layers), reversed(attention.gradients), strict=True):
            step = (layer.weights.detach() * gradient).clamp(min=0).mean(1)
            passed_on = torch.einsum("bn,bnm->bm", relevance, step)
            has_shortcut = step.shape[1] == step.shape[2]  # a pooling layer, with fewer queries than keys, has none
            relevance = relevance + passed_on if has_shortcut else passed_on
        if relevance.shape != attention.shares.shape:
            return relevance
        return relevance - attention.shares  # what came through all layers by the identity

    knobs = TokenKnobs(chunk, special, patch)
    return explain_tokens(model, x, target, knobs, "chefer", collect_relevance)


@method(
    family="attention",
    needs="gradient",
    cost="F + B, and a look at one input",
    paper="closed form; occlusion of a pooled instance: Zeiler & Fergus 2014, arXiv:1311.2901",
)
def leave_one_out(
    model: Model, x: Batch, target: Target, *, chunk: int | None = None, special: Special = None, patch: Patch = None
) -> Attribution:
    r"""Drop in score when an instance is left out of the attention pooling, exactly and for all at once. Unit: score.

    .. math:: \Delta_k = f(x) - f(x \setminus k) = \frac{a_k}{1 - a_k}\; w \cdot (h_k - z), \qquad z = \sum_j a_j h_j

    Here :math:`h_k` is instance :math:`k`, :math:`a_k` its weight, :math:`w` are the weights of the head. The others
    are renormalised, as a softmax does, and :math:`w \cdot h_k` is the slope of the score at weight k. An instance that
    holds all the weight has no rest to compare with: infinity, and refused by `attribute`. What an instance took from
    its neighbours before the pooling stays in them.

    Args:
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: the last attention is not a pooling with one head and one query, or the head is not linear.
    """

    def leave_out(attention: AttentionPass) -> Tensor:
        rule, got = _find_nonlinear(attention)
        if rule:
            others = "gradient_weighted_attention", "raw_attention", "integrated_gradients"
            refuse(rule, got, suggest_first(model, x, target, *others))
        weights = attention.layers[-1].weights.detach().flatten(1, 3)
        gradients = attention.gradients[-1].flatten(1, 3)  # of the score at each weight: w h_k
        pooled = (weights * gradients).sum(1, keepdim=True)  # w z
        return weights / (1 - weights) * (gradients - pooled)

    knobs = TokenKnobs(chunk, special, patch)
    return explain_tokens(model, x, target, knobs, "leave_one_out", leave_out, keys_of=-1)


def _find_nonlinear(attention: AttentionPass) -> tuple[str, object]:
    """Which rule is broken, and by what, if any: one head and one query, only linear functions up to the logits."""
    shape = tuple(attention.layers[-1].weights.shape[1:3])
    if shape != (1, 1):
        return "leave_one_out: the last attention must have one head and one query", shape
    nonlinear = sorted(set(attention.after) - LINEAR)
    return ("leave_one_out: the head must be linear", nonlinear) if nonlinear else ("", None)
