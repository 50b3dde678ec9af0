"""Seams: operations written as modules so that a hook can reach them."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Add(nn.Module):
    """`a + b`, the residual join."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class PadSame(nn.Module):
    """Zeros around a picture so that a strided convolution gives ceil(H / stride) rows, as TensorFlow pads.

    An odd zero goes to the bottom and the right: at stride 2 that is half a pixel off symmetric padding, and
    weights trained with it lose 10 points of accuracy under the other.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def zeros(self, length: int) -> tuple[int, int]:
        """Zeros before and after `length` pixels."""
        need = max((-(-length // self.stride) - 1) * self.stride + self.kernel - length, 0)
        return need // 2, need - need // 2

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        H, W = x.shape[2:]
        return F.pad(x, (*self.zeros(W), *self.zeros(H)))

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}"
