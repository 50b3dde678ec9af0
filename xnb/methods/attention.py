"""Methods that read what attention did: which tokens were weighted, and what that did to the score."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.attention_capture import CARRIED, Attention, AttentionCapture
from xnb.access.score import check_explainable, chunk_gradient, chunks, join_chunks
from xnb.check import require
from xnb.methods.registry import method
from xnb.methods.tokens import placed, read_from
from xnb.types import Attribution, Batch, Model, Target

SEEN = "xnb.attribute(model, x, target, 'integrated_gradients')  # or write attention as softmax(...) @ values"
# Functions that may follow the pooling: the linear head, and what only moves values or asks for a size.
LINEAR = CARRIED | {"linear", "flatten", "__getitem__", "__get__", "size", "dim", "identity"}


@dataclass(frozen=True)
class Attended:
    """One chunk: each layer's attention, the slope of the score at its weights, and how much each token is read."""

    layers: list[Attention]
    slopes: list[Float[Tensor, "B h N M"]]
    read: Float[Tensor, "B N"]
    after: list[str]

    def means(self) -> list[Float[Tensor, "B N M"]]:
        """Weights of each layer, the mean over heads."""
        return [layer.weights.detach().mean(1) for layer in self.layers]


def attended(model: Model, x: Batch, target: Target, chunk: int | None, who: str) -> Iterator[tuple[Batch, Attended]]:
    """Run the model chunk by chunk and keep its attention.

    A token is read if the score depends on its row of the last attention: the class token alone, or all that are
    averaged. This is found from the slopes, so no convention about the first token is needed.
    """
    check_explainable(model, x, target)
    for part in chunks(x, chunk):
        mode = AttentionCapture(len(x[part]))
        slopes = chunk_gradient(within(mode, model), x[part], target[part], mode.weights).at_captured
        require(bool(mode.found), f"{who}: no attention was seen", "a forward pass without any", SEEN)
        whole = all(len(layer.weights) == len(x[part]) for layer in mode.found)
        require(whole, f"{who}: attention must be over whole inputs", "windows", SEEN)
        filled = [torch.zeros_like(w) if s is None else s for w, s in zip(mode.weights.values(), slopes, strict=True)]
        yield x[part], Attended(mode.found, filled, read_from(filled[-1]), mode.after)


def read_out(
    model: Model, x: Batch, target: Target, chunk: int | None, who: str, how: Callable[[Attended], Tensor]
) -> Attribution:
    """What `how` says of each token, put where the token is in the input."""
    parts = [placed(how(seen), part, who) for part, seen in attended(model, x, target, chunk, who)]
    return join_chunks(parts, x)


def within(mode: AttentionCapture, model: Model) -> Model:
    """The model, and nothing but the model, run in the mode."""

    def run(x: Batch) -> Tensor:
        with mode:
            return model(x)

    return run


def traced_back(read: Float[Tensor, "B N"], steps: list[Float[Tensor, "B N M"]]) -> Float[Tensor, "B M"]:
    """What is read at the end, handed back through a matrix for each layer, the last one first."""
    for step in reversed(steps):
        read = torch.einsum("bn,bnm->bm", read, step)
    return read


def with_residual(weights: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
    """Half attention, half the token itself; a pooling layer, with fewer queries than keys, has no shortcut."""
    N, M = weights.shape[1:]
    return (weights + torch.eye(N, dtype=weights.dtype, device=weights.device)) / 2 if N == M else weights


@method(
    family="attention",
    needs="gradient",
    cost="F + B",
    axioms=("target_free",),
    paper="Bahdanau et al. 2015, arXiv:1409.0473; as an explanation: Jain & Wallace 2019, arXiv:1902.10186",
)
def raw_attention(
    model: Model, x: Batch, target: Target, *, block: int = -1, head: int | None = None, chunk: int | None = None
) -> Attribution:
    r"""Weight that one layer's attention gives to each token, :math:`\frac{1}{h}\sum_h A^{h}_{r}`. Sums to at most 1.

    The row read is that of the class token, or the mean over all that the score reads. Weights are never negative
    and the same for every class: they cannot say against, nor for which. What a weight moves is its value, which
    may be nothing, and in deeper layers a token is no longer its own patch.

    Args:
        block: which attention, counted from the first; -1 is the last.
        head: one head instead of the mean over heads.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: no attention was seen, or there is no such block or head.
    """
    return read_out(
        model, x, target, chunk, "raw_attention", lambda seen: traced_back(seen.read, [chosen(seen, block, head)])
    )


def chosen(seen: Attended, block: int, head: int | None) -> Float[Tensor, "B N M"]:
    """Weights of one block: of one head, or the mean over heads."""
    layers = seen.layers
    there = -len(layers) <= block < len(layers)
    require(there, f"raw_attention: block must lie in [{-len(layers)}, {len(layers)})", block, "block=-1")
    weights = layers[block].weights.detach()
    heads = weights.shape[1]
    there = head is None or 0 <= head < heads
    require(there, f"raw_attention: head must lie in [0, {heads})", head, "head=None  # the mean over heads")
    return weights.mean(1) if head is None else weights[:, head]


@method(
    family="attention",
    needs="gradient",
    cost="F + B",
    axioms=("target_free",),
    paper="Kobayashi et al. 2020, arXiv:2004.10102",
)
def value_weighted_attention(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Length of what the last attention moves from each token, :math:`\frac{1}{h}\sum_h A^h_{rj} \|v^h_j\|`.

    A weight on a value of length zero moves nothing. Lengths have no sign and are the same for every class. Unit:
    that of the values, before the heads are joined.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: no attention was seen.
    """

    def lengths(seen: Attended) -> Tensor:
        last = seen.layers[-1]
        moved = last.weights.detach() * last.values.detach().norm(dim=3)[:, :, None]
        return traced_back(seen.read, [moved.mean(1)])

    return read_out(model, x, target, chunk, "value_weighted_attention", lengths)


@method(
    family="attention",
    needs="gradient",
    cost="F + B",
    axioms=("target_free",),
    paper="Abnar & Zuidema 2020, arXiv:2005.00928",
)
def rollout(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Attention multiplied through all layers, :math:`\prod_l \tfrac12 (A^l + I)`: as if tokens only mixed.

    All tokens together have 1, those that are no piece of the input among them. The identity stands for the
    shortcut, though the true shares of shortcut and attention differ by layer; the values, the differences between
    heads and the layers between are left out. The same for every class.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: no attention was seen.
    """
    return read_out(
        model,
        x,
        target,
        chunk,
        "rollout",
        lambda seen: traced_back(seen.read, [with_residual(weights) for weights in seen.means()]),
    )


@method(
    family="attention",
    needs="gradient",
    cost="F + B",
    paper="Barkan et al. 2021, doi:10.1145/3459637.3482126; last layer: arXiv:2103.15679, baselines",
)
def gradient_weighted_attention(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""What the last attention's weight on each token adds to the score. Unit: score, signed.

    .. math:: \sum_{h,i} A^h_{ij}\, \frac{\partial f}{\partial A^h_{ij}}

    It equals the weighted value seen along the score's slope, :math:`a_j\, \nabla_z f \cdot v_j`: with a linear head it
    is the exact share of each token in the pooled score. Weights are taken as free, though they sum to 1.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: no attention was seen.
    """
    return read_out(
        model,
        x,
        target,
        chunk,
        "gradient_weighted_attention",
        lambda seen: (seen.layers[-1].weights.detach() * seen.slopes[-1]).sum((1, 2)),
    )


@method(
    family="attention",
    needs="gradient",
    cost="F + B",
    paper="Chefer, Gur & Wolf 2021, arXiv:2103.15679",
)
def chefer(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Relevance collected layer by layer, from :math:`R = I`. No unit: powers of it add up.

    .. math:: R \leftarrow R + \bar A^l R, \qquad
       \bar A^l = \frac{1}{h}\sum_h \Bigl(A^l_h \odot \frac{\partial f}{\partial A^l_h}\Bigr)^+

    Only what raises the score is kept, in each head and entry, so evidence against is invisible and opposing
    entries do not cancel. The identity, which is the same for all tokens, is left out.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: no attention was seen.
    """

    def relevance(seen: Attended) -> Tensor:
        kept = [
            (a.weights.detach() * slope).clamp(min=0).mean(1) for a, slope in zip(seen.layers, seen.slopes, strict=True)
        ]
        read = seen.read
        for step in reversed(kept):  # read (I + A^L) ... (I + A^1), one row at a time
            handed = torch.einsum("bn,bnm->bm", read, step)
            read = read + handed if step.shape[1] == step.shape[2] else handed
        return read - seen.read if read.shape == seen.read.shape else read

    return read_out(model, x, target, chunk, "chefer", relevance)


@method(
    family="attention",
    needs="gradient",
    cost="F + B",
    paper="closed form; occlusion of a pooled instance: Zeiler & Fergus 2014, arXiv:1311.2901",
)
def leave_one_out(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Drop in score when an instance is left out of the attention pooling, exactly and for all at once. Unit: score.

    .. math:: \Delta_k = f(x) - f(x \setminus k) = \frac{a_k}{1 - a_k}\; w \cdot (h_k - z), \qquad z = \sum_j a_j h_j

    The other weights are renormalised, as a softmax does, and :math:`w \cdot h_k` is the slope of the score at weight
    k. An instance that holds all the weight has no rest to compare with: infinity, and refused by `attribute`. What
    an instance took from its neighbours before the pooling stays in them.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the last attention is not a pooling with one head and one query, or the head is not linear.
    """

    def drops(seen: Attended) -> Tensor:
        weights, slopes = (values.flatten(1, 3) for values in (seen.layers[-1].weights.detach(), seen.slopes[-1]))
        must_be_pooling(seen)
        return weights / (1 - weights) * (slopes - (weights * slopes).sum(1, keepdim=True))

    return read_out(model, x, target, chunk, "leave_one_out", drops)


def must_be_pooling(seen: Attended) -> None:
    """One head and one query, and nothing but linear functions up to the logits."""
    shape, hint = tuple(seen.layers[-1].weights.shape[1:3]), "xnb.attribute(model, x, target, 'token_occlusion')"
    require(shape == (1, 1), "leave_one_out: the last attention must have one head and one query", shape, hint)
    bent = sorted(set(seen.after) - LINEAR)
    require(not bent, "leave_one_out: the head must be linear", bent, hint)
