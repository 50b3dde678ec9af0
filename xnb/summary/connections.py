"""Which module feeds which."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils._pytree import tree_map_only

from xnb.access.hooks import watch_calls
from xnb.summary.shape_run import Inputs, run_shapes, tensor_leaves

_Edge: TypeAlias = tuple[str, str]  # from, to


def list_edges(model: nn.Module, x: Inputs) -> list[_Edge]:
    """Return which module's output feeds which, from `input` on, in the order of execution.

    Several inputs, a tuple or a dictionary, are `input` all together.

    Nodes are the calls that call no other module. The second call of `relu` is `relu_1`: the graph has no cycle.
    Operations written as functions are no nodes: an edge passes through them. Shapes are run, as in `module_table`,
    and the graph of the gradient is followed back from each call, so an edge ends at a function that is not
    differentiable. Whole numbers, as those of words, are followed from one module straight to the next.

    Raises:
        ValueError: as `xnb.summary.shape_run.run_shapes`.
    """
    return run_shapes(model, x, _trace)


def _trace(model: nn.Module, x: Inputs, run: Callable[[Inputs], object]) -> list[_Edge]:
    tracer = _GraphTracer()
    with torch.enable_grad(), watch_calls(model, tracer.enter, tracer.leave, with_named=True):
        run(tree_map_only(Tensor, lambda tensor: tracer.mark(tensor, "input"), x))
    return tracer.edges


@dataclass
class _GraphTracer:
    """Follows tensors through one run: `enter` goes before, and `leave` after every call.

    Attributes:
        producers: the call whose output a node of the gradient's graph made.
        numbers: outputs that have no such node, whole numbers, with the call that made each.
        edges: (from, to), in the order in which calls return.
        sources: of each running call the calls that feed it, or None once it called another: it is no node then.
        calls: times that each module has returned.
    """

    producers: dict[Node | None, str] = field(default_factory=dict)
    numbers: list[tuple[Tensor, str]] = field(default_factory=list)
    edges: list[_Edge] = field(default_factory=list)
    sources: list[set[str] | None] = field(default_factory=lambda: [None])
    calls: Counter[str] = field(default_factory=Counter)

    def enter(self, name: str, module: nn.Module, args: tuple) -> None:
        self.sources[-1] = None
        tensors = tensor_leaves(args)
        straight = {label for number, label in self.numbers if any(number is tensor for tensor in tensors)}
        self.sources.append(straight | self.find_sources(tensor.grad_fn for tensor in tensors))

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
        return tree_map_only(Tensor, lambda tensor: self.mark(tensor, label), out)

    def mark(self, tensor: Tensor, label: str) -> Tensor:
        """A copy of a call's output by which it is known from now on.

        A copy has a node of its own: an identity returns the tensor of the call before it, and a module that works in
        place overwrites it. What does not come from the input, or comes through whole numbers, begins a graph.
        """
        if not tensor.is_floating_point() and not tensor.is_complex():
            copy = tensor.clone()
            self.numbers.append((copy, label))
            return copy
        copy = (tensor if tensor.requires_grad else tensor.detach().requires_grad_()).clone()
        self.producers[copy.grad_fn] = label
        return copy

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
