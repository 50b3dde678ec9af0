"""Attention as pipes: how much can flow from what is read to each token."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor

from xnb.check import require
from xnb.methods.attention import Attended, read_out, with_residual
from xnb.methods.registry import method
from xnb.progress import watched
from xnb.types import Attribution, Batch, Model, Target

MOST_NODES = 1100  # of a flow network; beyond, one picture takes seconds
UNIT = 2**30


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
    return read_out(model, x, target, chunk, "attention_flow", flows)


def flows(seen: Attended) -> Float[Tensor, "B M"]:
    steps = [with_residual(weights) for weights in seen.means()]
    size = sum(step.shape[2] for step in steps)
    rule = f"attention_flow: tokens times layers must be at most {MOST_NODES}"
    require(size <= MOST_NODES, rule, size, "xnb.attribute(model, x, target, 'rollout')")
    inputs = zip(seen.read, *steps, strict=True)
    parts = [maximum_flows(read, matrices) for read, *matrices in watched(inputs, len(seen.read), "input")]
    return torch.stack(parts).to(seen.read)


def maximum_flows(read: Float[Tensor, " N"], steps: list[Float[Tensor, "N M"]]) -> Float[Tensor, " M"]:
    """From one source to each token of the first layer; capacities in whole parts of 2^-30, as the solver needs."""
    blocks = [read[None].double().cpu(), *(step.double().cpu() for step in reversed(steps))]
    sizes = [1, *(block.shape[1] for block in blocks)]
    starts = np.cumsum([0, *sizes])
    wide = np.zeros((starts[-1], starts[-1]), dtype=np.int32)
    for block, row, column in zip(blocks, starts, starts[1:], strict=False):
        wide[row : row + block.shape[0], column : column + block.shape[1]] = np.floor(block.numpy() * UNIT)
    graph = csr_matrix(wide)
    sinks = range(starts[-2], starts[-1])
    return torch.tensor([maximum_flow(graph, 0, sink).flow_value / UNIT for sink in sinks], dtype=torch.double)
