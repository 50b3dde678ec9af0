"""Attention as a pooling: which cells of a picture, or instances of a bag, the classifier takes its features from."""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

from xnb.check import require
from xnb.models.layers import Cells, Each, MeanPool, Times, WeightedSum
from xnb.models.vit import Block, Positions, Transformer
from xnb.types import Logits


class AttentionPool(nn.Module):
    r"""Mean of the tokens, each weighted by a small network that reads it alone (Ilse et al. 2018, arXiv:1802.04712).

    .. math:: z = \sum_k a_k h_k,\quad a = \mathrm{softmax}(e),\quad e_k = w^\top \tanh(V h_k)

    and, if `gated`, :math:`e_k = w^\top (\tanh(V h_k) \odot \sigma(U h_k))`; V and U have biases. The weights are the
    output of `softmax`, `(B, 1, N)`. They are never negative and the same for all classes.

    Args:
        width: numbers a token.
        hidden: rows of V and U.
        gated: whether there is a U.
    """

    def __init__(self, width: int, hidden: int = 32, gated: bool = False) -> None:
        super().__init__()
        self.look = nn.Linear(width, hidden)
        self.tanh = nn.Tanh()
        self.gate = _make_gate(width, hidden) if gated else None
        self.times = Times() if gated else None
        self.rate = nn.Linear(hidden, 1, bias=False)
        self.softmax = nn.Softmax(dim=2)
        self.sum = WeightedSum()

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        hidden = self.tanh(self.look(tokens))
        if self.gate is not None and self.times is not None:
            hidden = self.times(hidden, self.gate(tokens))
        logits = self.rate(hidden).transpose(1, 2)
        return self.sum(self.softmax(logits), tokens)


def _make_gate(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.Sigmoid())


POOLS = ("attention", "gated", "mean")


def _make_pool(kind: str, width: int) -> nn.Module:
    if kind == "mean":
        return MeanPool()
    return AttentionPool(width, gated=kind == "gated")


class AttentionClassifier(nn.Sequential):
    """Tokens, a pooling over them, and a linear head: the logits are sums over tokens.

    With `pool="mean"` it is its own fair twin: the same encoder and head, and no parameters in the pooling.

    Args:
        encoder: turns inputs, be they pictures or bags, into tokens `(B, N, width)`.
        width: numbers a token.
        classes: number of logits.
        pool: attention, gated or mean.

    Raises:
        ValueError: an unknown `pool`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        classes: int,
        pool: str = "attention",
    ) -> None:
        hint = f"one of {list(POOLS)}"
        require(pool in POOLS, "AttentionClassifier: pool must be a known one", pool, hint)
        pooling = _make_pool(pool, width)
        head = nn.Linear(width, classes)
        super().__init__(OrderedDict(encoder=encoder, pool=pooling, head=head))


def picture_classifier(
    pool: str = "attention",
    classes: int = 6,
    *,
    channels: int = 3,
    width: int = 48,
    patch: int = 4,
    depth: int = 4,
    reach: int = 2,
    dilation: int = 1,
) -> AttentionClassifier:
    """Attention over the cells of a convolutional grid; 50,758 parameters at the defaults.

    Args:
        pool: attention, gated or mean.
        classes: number of logits.
        channels: 3 for colour, 1 for grey pictures.
        width: numbers a cell.
        patch: side of a cell in pixels.
        depth: number of layers behind the patches.
        reach: how many of these layers see one cell further on each side. A cell then depends on `patch (1 + 2 reach)`
            pixels in each direction, and only with `reach=0` on its own alone.
        dilation: cells from one weight to the next in the last of these layers. With 3 and `reach=2` a cell depends on
            9 cells in each direction in place of 5: a twin with the same parameters.

    Raises:
        ValueError: an unknown `pool`, or `reach` not in [0, depth].
    """
    grid = _make_grid(channels, width, patch, depth, reach, dilation)
    encoder = nn.Sequential(OrderedDict(grid=grid, cells=Cells()))
    return AttentionClassifier(encoder, width, classes, pool)


def _make_grid(
    channels: int,
    width: int,
    patch: int,
    depth: int,
    reach: int,
    dilation: int = 1,
) -> nn.Sequential:
    """Patches, then `reach` convolutions of 3 x 3 cells, the last of them dilated, then of one cell: `depth` in all."""
    require(0 <= reach <= depth, "grid: reach must lie in [0, depth]", (reach, depth), f"reach={depth}")
    kernels = [3] * reach + [1] * (depth - reach)
    # The last of the layers that look around looks furthest.
    dilations = [1] * (reach - 1) + [dilation] + [1] * depth
    layers = [_add_norm_and_relu(nn.Conv2d(channels, width, patch, patch, bias=False))]
    for kernel, step in zip(kernels, dilations, strict=False):
        padding = step * (kernel // 2)
        convolution = nn.Conv2d(width, width, kernel, padding=padding, dilation=step, bias=False)
        layers.append(_add_norm_and_relu(convolution))
    return nn.Sequential(*layers)


def _add_norm_and_relu(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())


def bag_classifier(
    pool: str = "attention",
    classes: int = 2,
    *,
    width: int = 32,
) -> AttentionClassifier:
    """Attention over the instances of a bag of 8 x 8 digits `(B, N, 1, 8, 8)`; 10,082 parameters at the defaults.

    Args:
        pool: attention, gated or mean.
        classes: number of logits.
        width: numbers an instance.

    Raises:
        ValueError: an unknown `pool`.
    """
    # 8 x 8 pixels, halved by each of two poolings, leave 2 x 2 in 32 channels.
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 32)):
        layers.append(nn.Conv2d(before, after, kernel_size=3, padding=1))
        layers.append(nn.ReLU())
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(32 * 2 * 2, width), nn.ReLU()]
    encoder = Each(nn.Sequential(*layers))
    return AttentionClassifier(encoder, width, classes, pool=pool)


class SelfAttentionClassifier(Transformer):
    """Convolutional grid whose cells then read one another: blocks of a Transformer, and the mean over cells.

    Args:
        size: side of the pictures; a multiple of `patch`.
        classes: number of logits.
        channels: 3 for colour, 1 for grey pictures.
        width: numbers a cell.
        heads: number of attention heads in each block; divides `width`.
        blocks: number of blocks.
        patch: side of a cell in pixels.
        depth: number of convolutions behind the patches.
        reach: how many of these see one cell further on each side, see `picture_classifier`.

    Raises:
        ValueError: sizes that do not fit together, or called on pictures of another size.
    """

    prefix = 0

    def __init__(
        self,
        size: int = 32,
        classes: int = 6,
        *,
        channels: int = 3,
        width: int = 48,
        heads: int = 3,
        blocks: int = 1,
        patch: int = 4,
        depth: int = 2,
        reach: int = 1,
    ) -> None:
        super().__init__()
        self.grid = _make_grid(channels, width, patch, depth, reach)
        self.cells = Cells()
        self.positions = Positions((size // patch) ** 2, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.pool = MeanPool()
        self.head = nn.Linear(width, classes)

    def tokens(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        return self.positions(self.cells(self.grid(x)))

    def readout(self, tokens: Float[Tensor, "B N D"]) -> Logits:
        return self.head(self.pool(self.norm(tokens)))
