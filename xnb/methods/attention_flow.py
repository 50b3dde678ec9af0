"""Attention as pipes: how much can flow from what is read to each token."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor

from xnb.check import require
from xnb.methods.attention import add_residual
from xnb.methods.attention_pass import AttentionPass, explain_tokens
from xnb.methods.registry import method
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Model, Target

MOST_NODES = 1100  # of a flow network; beyond, one picture takes seconds
UNIT = 2**30  # whole numbers that stand for a capacity of 1


@method(
    family="attention",
    needs="gradient",
    cost="F + B",
    axioms=("target_free",),
    paper="Abnar & Zuidema 2020, arXiv:2005.00928",
)
def attention_flow(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Largest flow from what is read to each token through all layers, edges as wide as :math:`\tfrac12 (A^l + I)`.

    Each token's flow is found as if it had the pipes for itself, so flows do not add up to one. Shares of the first
    layer hardly limit it: maps are flatter than `rollout`. The same for every class. A maximum-flow problem for each
    token, so for small models only.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: no attention was seen, or tokens times layers exceed 1,100.
    """
    return explain_tokens(model, x, target, chunk, "attention_flow", _attribute_flows)


def _attribute_flows(attention: AttentionPass) -> Float[Tensor, "B M"]:
    """Largest flow to each token, one input after another."""
    steps = [add_residual(weights) for weights in attention.mean_weights()]
    nodes = sum(step.shape[2] for step in steps)
    rule = f"attention_flow: tokens times layers must be at most {MOST_NODES}"
    require(nodes <= MOST_NODES, rule, nodes, "xnb.attribute(model, x, target, 'rollout')")
    inputs = zip(attention.shares, *steps, strict=True)
    maps = []
    for shares, *matrices in show_progress(inputs, len(attention.shares), "input"):
        maps.append(_maximum_flows(shares, matrices))
    return torch.stack(maps).to(attention.shares)


def _maximum_flows(shares: Float[Tensor, " N"], steps: list[Float[Tensor, "N M"]]) -> Float[Tensor, " M"]:
    """From one source to each token that enters the first layer.

    The network has a node for the source, then for the tokens behind each layer, the last layer first. Capacities
    are whole numbers of 2^-30, as the solver needs.
    """
    edges = [shares[None], *reversed(steps)]  # from the source, then from layer to layer
    sizes = [1, *(block.shape[1] for block in edges)]
    starts = np.cumsum([0, *sizes])  # number of the first node of each layer
    nodes = starts[-1]
    capacities = np.zeros((nodes, nodes), dtype=np.int32)
    for block, row, column in zip(edges, starts, starts[1:], strict=False):
        rows, columns = block.shape
        whole = np.floor(block.double().cpu().numpy() * UNIT)
        capacities[row : row + rows, column : column + columns] = whole
    graph = csr_matrix(capacities)
    sinks = range(starts[-2], starts[-1])
    flows = [maximum_flow(graph, 0, sink).flow_value for sink in sinks]
    return torch.tensor(flows, dtype=torch.double) / UNIT
