"""What a test must know of a small network to say independently what its explanations are."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Animal:
    """A small network with inputs, in double precision, every weight drawn.

    Attributes:
        make: builds the network; its weights are drawn afterwards.
        shape: of one input.
        layer: name of the layer that class activation maps are of by default, None where there is none.
        maps: what that layer returns, as `(B, D, *places)`.
        places: axes of the input that lie in space or time; empty for a table.
        homogeneous: f(t x) = t f(x) for t > 0, as without biases: relevance by the epsilon rule is then x times the
            gradient.
        classes: how many logits it has.
        holds_rows: it was built with something for each of the three inputs, which follows them.
        differentiable: whether a gradient goes through it.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    layer: str | None = None
    maps: Callable[[Tensor], Tensor] = lambda out: out
    places: tuple[int, ...] = ()
    homogeneous: bool = False
    classes: int = 3
    holds_rows: bool = False
    differentiable: bool = True

    def build(self, seed: int = 7) -> nn.Module:
        """The network, the same at every call."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = self.make().double().eval()
            for module in net.modules():
                draw_statistics(module)
            for weights in net.parameters():
                weights.data = weights.data + 0.1 * torch.randn_like(weights) if weights.ndim < 2 else weights.data
        if self.homogeneous:
            for name, weights in net.named_parameters():
                if name.endswith("bias"):
                    weights.data.zero_()
        return net

    def inputs(self, rows: int = 3) -> Tensor:
        rng = torch.Generator().manual_seed(11)
        return torch.rand(rows, *self.shape, generator=rng, dtype=torch.double) + 0.2

    def target(self, rows: int = 3) -> Tensor:
        return torch.arange(rows) % max(2, self.classes)

    @property
    def units(self) -> tuple[int, ...]:
        """Axes that number what metrics remove one by one: places, or the features of a table."""
        return self.places or (1,)

    def masks(self, rows: int = 3) -> Tensor:
        """The first half of the places, along their first axis."""
        sizes = [rows, *(size if axis in self.units else 1 for axis, size in enumerate(self.shape, 1))]
        masks = torch.zeros(sizes, dtype=torch.bool)
        first = self.units[0]
        masks.narrow(first, 0, sizes[first] // 2).fill_(True)
        return masks

    def regions(self) -> Tensor:
        """Four regions: the first axis that has four places or more, cut in four."""
        axes = self.places or range(1, len(self.shape) + 1)
        axis = next(axis for axis in axes if self.shape[axis - 1] >= 4)
        size = self.shape[axis - 1]
        numbers = torch.arange(size) * 4 // size
        return numbers.view([-1 if i == axis else 1 for i in range(1, len(self.shape) + 1)])


def draw_statistics(module: nn.Module) -> None:
    """Let batch norms have seen something: as they start, they would hide mistakes."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
        module.running_mean.normal_(0, 0.1)
        module.running_var.uniform_(0.5, 1.5)
