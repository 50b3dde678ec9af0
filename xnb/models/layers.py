"""Operations written as modules, so that a hook can reach them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.check import require


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
        self.kernel = kernel
        self.stride = stride

    def zeros(self, length: int) -> tuple[int, int]:
        """Zeros before and after `length` pixels."""
        outputs = -(-length // self.stride)  # rounded up
        covered = (outputs - 1) * self.stride + self.kernel
        zeros = max(covered - length, 0)
        return zeros // 2, zeros - zeros // 2

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        H, W = x.shape[2:]
        left, right = self.zeros(W)
        top, bottom = self.zeros(H)
        return F.pad(x, (left, right, top, bottom))

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}"


class Standardise(nn.Module):
    """`(x - mean) / std`, so that what learns from pixels in [0, 1] starts around zero.

    Args:
        mean: one number, or one for each channel of pictures `(B, C, H, W)`, signals, volumes, features of a table.
        std: as `mean`.

    Raises:
        ValueError: a deviation that is not positive; called on inputs with another number of channels.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        deviations = [std] if isinstance(std, int | float) else std
        positive = all(deviation > 0 for deviation in deviations)
        require(positive, "Standardise: deviations must be positive", std, "std = x.std((0, 2, 3)).tolist()")
        self.mean = mean
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return (x - self._match_channels(self.mean, x)) / self._match_channels(self.std, x)

    def _match_channels(self, values: float | Sequence[float], x: Tensor) -> float | Tensor:
        """One number as it is, one for each channel with axes for what is behind the channels."""
        if isinstance(values, int | float):
            return values
        C = x.shape[1]
        is_one = x.ndim == 3 and len(values) == len(x) not in (1, C)
        require(not is_one, "Standardise: x must have a batch axis (B, C, ...)", x, "x = x[None]")
        rule = f"Standardise: one number, or one for each of {C} channels"
        require(len(values) in (1, C), rule, values, f"mean, std = {[0.5] * C}, {[0.25] * C}")
        # made here, in the input's own precision, and no buffer: stored weights have no such entry
        return torch.tensor(values, dtype=x.dtype, device=x.device).view(-1, *[1] * (x.ndim - 2))

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"


class Attend(nn.Module):
    """Attention in several heads: every query reads the values of all keys. Fused, so the weights are never stored.

    `xnb.access.hooks.capture_attention(model)` returns them.

    Args:
        heads: number of heads, among which the numbers of a token are divided.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(
        self, query: Float[Tensor, "B N D"], key: Float[Tensor, "B M D"], value: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B N D"]:
        query = self._split(query)
        key = self._split(key)
        value = self._split(value)
        output = F.scaled_dot_product_attention(query, key, value)
        return output.transpose(1, 2).flatten(2)

    def _split(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B h N d"]:
        """The tokens of each head."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def extra_repr(self) -> str:
        return f"heads={self.heads}"


class Times(nn.Module):
    """`a * b`, a gate."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b


class WeightedSum(nn.Module):
    """`weights @ values`: what one query takes from all tokens."""

    def forward(
        self,
        weights: Float[Tensor, "B 1 N"],
        values: Float[Tensor, "B N D"],
    ) -> Float[Tensor, "B D"]:
        return (weights @ values).squeeze(1)


class Cells(nn.Module):
    """The cells of a grid as tokens, row by row."""

    def forward(self, grid: Float[Tensor, "B D h w"]) -> Float[Tensor, "B N D"]:
        return grid.flatten(2).transpose(1, 2)


class Prepend(nn.Module):
    """Learned tokens in front of the others, the same for every input: a class token, registers."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        start = torch.empty(1, count, width).normal_(std=0.02)
        self.tokens = nn.Parameter(start)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B M D"]:
        learned = self.tokens.expand(len(tokens), -1, -1)
        return torch.cat([learned, tokens], 1)


class FirstToken(nn.Module):
    """The first token alone."""

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        return tokens[:, 0]


class MeanPool(nn.Module):
    """Mean of the tokens behind the first `skip`: attention whose weights are all the same."""

    def __init__(self, skip: int = 0) -> None:
        super().__init__()
        self.skip = skip

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        return tokens[:, self.skip :].mean(1)

    def extra_repr(self) -> str:
        return f"skip={self.skip}"


class Each(nn.Module):
    """A network run on each instance of a bag alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "B N C H W"]) -> Float[Tensor, "B N D"]:
        tokens = self.network(x.flatten(0, 1))
        return tokens.unflatten(0, x.shape[:2])
