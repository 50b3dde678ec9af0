"""Which module feeds which."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils._pytree import tree_map_only

from xnb.access.hooks import watch_calls
from xnb.summary.parameters import run_shapes, tensor_leaves
from xnb.types import Batch

_Edge: TypeAlias = tuple[str, str]  # from, to


def list_edges(model: nn.Module, x: Batch) -> list[_Edge]:
    """Return which module's output feeds which, from `input` on, in the order of execution.

    Nodes are the calls that call no other module. The second call of `relu` is `relu_1`: the graph has no cycle.
    Operations written as functions are no nodes: an edge passes through them. Shapes are run, as in `module_table`,
    and the graph of the gradient is followed back from each call, so an edge ends at what is not differentiable.
    """
    tracer = _GraphTracer()
    with torch.enable_grad(), watch_calls(model, tracer.enter, tracer.leave):
        # times 1: a leaf has no node in the graph of the gradient
        start = torch.empty_like(x, device="meta", requires_grad=True) * 1
        tracer.producers[start.grad_fn] = "input"
        run_shapes(model, start)
    return tracer.edges


@dataclass
class _GraphTracer:
    """Follows tensors through one run: `enter` goes before, and `leave` after every call.

    Attributes:
        producers: the call whose output a node of the gradient's graph made.
        edges: (from, to), in the order in which calls return.
        sources: of each running call the calls that feed it, or None once it called another: it is no node then.
        calls: times that each module has returned.
    """

    producers: dict[Node | None, str] = field(default_factory=dict)
    edges: list[_Edge] = field(default_factory=list)
    sources: list[set[str] | None] = field(default_factory=lambda: [None])
    calls: Counter[str] = field(default_factory=Counter)

    def enter(self, name: str, module: nn.Module, args: tuple) -> None:
        self.sources[-1] = None
        nodes = [tensor.grad_fn for tensor in tensor_leaves(args)]
        self.sources.append(self.find_sources(nodes))

    def leave(self, name: str, module: nn.Module, args: tuple, out: object) -> object:
        """Enter the edges that lead here, and return the output as copies of its tensors; None leaves it alone."""
        sources = self.sources.pop()
        if sources is None:
            return None
        label = name or "(model)"
        if self.calls[name]:
            label += f"_{self.calls[name]}"
        self.calls[name] += 1
        self.edges.extend((source, label) for source in sorted(sources))

        def mark(tensor: Tensor) -> Tensor:
            # A copy has a node of its own: an identity returns the tensor of the call before it, and a module that
            # works in place overwrites it.
            copy = tensor.clone()
            self.producers[copy.grad_fn] = label
            return copy

        return tree_map_only(Tensor, mark, out)

    def find_sources(self, nodes: Iterable[Node | None]) -> set[str]:
        """Follow the graph of the gradient back from these nodes, and return the first call met on each way."""
        sources = set()
        visited = set()
        ahead = list(nodes)
        while ahead:
            node = ahead.pop()
            if node is None or node in visited:
                continue
            visited.add(node)
            if node in self.producers:
                sources.add(self.producers[node])
            else:
                ahead.extend(before for before, _ in node.next_functions)
        return sources
