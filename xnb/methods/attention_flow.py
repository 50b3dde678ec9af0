"""Attention as pipes: how much can flow from what is read to each token."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor

from xnb.access.trials import count_run_changes
from xnb.check import require
from xnb.methods.attention import add_residual
from xnb.methods.attention_pass import AttentionPass, explain_tokens
from xnb.methods.registry import method
from xnb.methods.seen_attention import TokenKnobs
from xnb.methods.token_layout import Patch, Special
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Model, Target

MOST_NODES = 15_000  # of a flow network
UNIT = 2**30  # whole numbers that stand for a capacity of 1


@method(
    family="attention",
    needs="gradient",
    cost="F + B, and a look at one input",
    axioms=("target_free",),
    paper="Abnar & Zuidema 2020, arXiv:2005.00928",
    sign="none",
)
def attention_flow(
    model: Model, x: Batch, target: Target, *, chunk: int | None = None, special: Special = None, patch: Patch = None
) -> Attribution:
    r"""Largest flow from what the score reads to each token, through attention weights as pipes of limited width.

    .. math:: a_j = \operatorname{maxflow}(s \to j), \qquad c^l_{nm} = \tfrac12 (\bar A^l + I)_{nm}

    Here :math:`c^l_{nm}` is the width of the pipe from token :math:`n` behind layer :math:`l` to :math:`m` before it,
    :math:`\bar A^l` the mean of the attention over heads, and :math:`s` feeds equal shares to the tokens that the score
    reads. Each token's flow is found as if it had the pipes for itself, so flows do not add up to one. Shares of the
    first layer hardly limit it: maps are flatter than `rollout`. The same for every class; a gradient only finds
    :math:`s`. A maximum-flow problem for each token: of 197 tokens and 12 layers each takes a tenth of a second, so a
    picture takes some 25 seconds.

    Args:
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: no attention was seen, or tokens times layers exceed 15,000.
    """
    knobs = TokenKnobs(chunk, special, patch)
    return explain_tokens(model, x, target, knobs, "attention_flow", _attribute_flows)


def _attribute_flows(attention: AttentionPass) -> Float[Tensor, "B M"]:
    """Largest flow to each token, one input after another."""
    steps = [add_residual(weights) for weights in attention.mean_weights()]
    nodes = sum(step.shape[2] for step in steps)
    rule = f"attention_flow: tokens times layers must be at most {MOST_NODES}, or an input takes an hour"
    require(nodes <= MOST_NODES, rule, nodes, "xnb.attribute(model, x, target, 'rollout')")
    B = len(attention.shares)
    M = steps[0].shape[2]
    flows = attention.shares.new_zeros(B, M)
    # one after another: a network of a large picture has half a million pipes
    inputs = enumerate(zip(attention.shares, *steps, strict=True))
    networks = ((row, _build_network(shares, matrices)) for row, (shares, *matrices) in inputs)
    run = count_run_changes(M)
    problems = ((row, network, token) for row, network in networks for token in range(run))
    for row, network, token in show_progress(problems, B * run, "flow"):
        flows[row, token] = network.flow_to(token)
    return flows


class _Network(NamedTuple):
    """Pipes from one source to the tokens that enter the first layer.

    Attributes:
        capacities: of the pipe from one node to another, in whole numbers of 2^-30, as the solver needs.
        first_sink: number of the node of the first token.
    """

    capacities: csr_matrix
    first_sink: int

    def flow_to(self, token: int) -> float:
        """The largest flow to a token."""
        return maximum_flow(self.capacities, 0, self.first_sink + token).flow_value / UNIT


def _build_network(shares: Float[Tensor, " N"], steps: list[Float[Tensor, "N M"]]) -> _Network:
    """A node for the source, then for the tokens behind each layer, the last layer first."""
    edges = [shares[None], *reversed(steps)]  # from the source, then from layer to layer
    sizes = [1, *(block.shape[1] for block in edges)]
    starts = np.cumsum([0, *sizes])  # number of the first node of each layer
    values = []
    rows = []
    columns = []
    for block, first_row, first_column in zip(edges, starts, starts[1:], strict=False):
        whole = np.floor(block.double().cpu().numpy() * UNIT).astype(np.int32)
        row, column = whole.nonzero()
        values.append(whole[row, column])
        rows.append(row + first_row)
        columns.append(column + first_column)
    places = (np.concatenate(rows), np.concatenate(columns))
    nodes = int(starts[-1])
    return _Network(csr_matrix((np.concatenate(values), places), shape=(nodes, nodes)), int(starts[-2]))
