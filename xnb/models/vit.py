"""Vision Transformers: a small one of our own, and torchvision's taken apart."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from xnb.check import require
from xnb.models.layers import Add, Attend, Cells, FirstToken, MeanPool, Prepend, Standardise
from xnb.types import Batch, Logits


class SelfAttention(nn.Module):
    """Every token reads all tokens, itself included, once in each head (arXiv:1706.03762)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        hint = f"width={heads * max(1, width // heads)}"
        require(width % heads == 0, "SelfAttention: width must be a multiple of heads", (width, heads), hint)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.attend = Attend(heads)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        return self.out(self.attend(self.query(x), self.key(x), self.value(x)))


class Block(nn.Module):
    """Attention, then a network on each token alone, each behind a layer norm and beside a shortcut.

    Works for any number of tokens. `12 width^2 + 13 width` parameters at `ratio=4`.

    Args:
        width: numbers a token.
        heads: of the attention; each has `width / heads` of the numbers.
        ratio: width of the hidden layer, in widths.
    """

    def __init__(self, width: int, heads: int, ratio: int = 4) -> None:
        super().__init__()
        self.norm1, self.attention, self.add1 = nn.LayerNorm(width), SelfAttention(width, heads), Add()
        self.norm2, self.add2 = nn.LayerNorm(width), Add()
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        x = self.add1(x, self.attention(self.norm1(x)))
        return self.add2(x, self.mlp(self.norm2(x)))


class Positions(nn.Module):
    """Learned numbers added to each token, by which it can be told where it is.

    Raises:
        ValueError: called on another number of tokens.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(1, count, width).normal_(std=0.02))

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        count = self.positions.shape[1]
        rule = f"Positions: there must be {count} tokens, as the input must have the size that the network is made for"
        require(tokens.shape[1] == count, rule, tokens)
        return tokens + self.positions


def waved(side: int, width: int) -> Float[Tensor, "N D"]:
    """Sines and cosines of row and column, with periods from 22 cells down to two."""
    require(width % 4 == 0, "ViT: width must be a multiple of 4 for waves", width, "waves=0")
    frequencies = torch.pi / 2 ** torch.linspace(3.5, 0, width // 4)  # radians a cell
    angles = torch.arange(side)[:, None] * frequencies
    line = torch.cat([angles.sin(), angles.cos()], 1)
    return torch.cat([line[:, None].expand(-1, side, -1), line.expand(side, -1, -1)], 2).flatten(0, 1)


class Transformer(nn.Module):
    """A network in three parts, `readout(blocks(tokens(x)))`, so that an explanation can start between them.

    Kinds of it define `tokens(x)`, what enters the first block; `blocks`, a list; `readout(tokens)`, the logits from
    what leaves the last one; and `prefix`, the number of tokens in front that are no pieces of the input.
    """

    def forward(self, x: Batch) -> Logits:
        tokens = self.tokens(x)
        for block in self.blocks:
            tokens = block(tokens)
        return self.readout(tokens)


class ViT(Transformer):
    """Small Vision Transformer (arXiv:2010.11929): square patches are the tokens, each with a learned position.

    207,814 parameters at the defaults, for which 64 patches and a class token pass four blocks.

    Args:
        size: side of the pictures.
        patch: side of a patch; divides `size`.
        channels: 3 for colour, 1 for grey pictures.
        classes: number of logits.
        width: numbers a token.
        depth: number of blocks.
        heads: of the attention in each block; divides `width`.
        pool: what is read out, a class token or the mean over the patches.
        registers: more learned tokens, which nothing is read from (arXiv:2309.16588).
        overlap: pixels beyond its edges that a patch also sees. With 2 a small network learns much faster.
        mean: of the pixels, which it takes standardised: as they come, they take twice as long to learn from.
        std: of the pixels.
        waves: height of the sines and cosines that the patches' positions start as; 0 starts them as noise. With 0.2
            places near each other start alike, and a small network leaves the plateau of guessing sooner.

    Raises:
        ValueError: sizes that do not fit together, an unknown `pool`, or called on pictures of another size.
    """

    def __init__(
        self,
        size: int = 32,
        patch: int = 4,
        channels: int = 3,
        classes: int = 6,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        pool: str = "class",
        registers: int = 0,
        *,
        overlap: int = 0,
        mean: float = 0.5,
        std: float = 0.25,
        waves: float = 0.0,
    ) -> None:
        super().__init__()
        hint = f"size={max(1, size // patch) * patch}"
        require(size % patch == 0, "ViT: size must be a multiple of patch", (size, patch), hint)
        require(pool in ("class", "mean"), "ViT: pool must be class or mean", pool, "pool='class'")
        self.prefix = registers + (pool == "class")
        self.standardise = Standardise(mean, std)
        self.patches, self.cells = nn.Conv2d(channels, width, patch + 2 * overlap, patch, overlap), Cells()
        self.prepend = Prepend(self.prefix, width) if self.prefix else nn.Identity()
        self.positions = Positions(self.prefix + (size // patch) ** 2, width)
        if waves:
            self.positions.positions.data[0, self.prefix :] = waves * waved(size // patch, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        self.pool = FirstToken() if pool == "class" else MeanPool(self.prefix)
        for module in self.modules():
            if isinstance(module, nn.Linear):  # as torchvision starts them; torch's own start learns later
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def tokens(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        return self.positions(self.prepend(self.cells(self.patches(self.standardise(x)))))

    def readout(self, tokens: Float[Tensor, "B N D"]) -> Logits:
        return self.head(self.pool(self.norm(tokens)))


class TorchvisionViT(Transformer):
    """See `from_torchvision`."""

    prefix = 1

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        width, count = vit.hidden_dim, vit.seq_length
        self.patches, self.cells = vit.conv_proj, Cells()
        self.prepend, self.positions = Prepend(1, width), Positions(count, width)
        self.prepend.tokens, self.positions.positions = vit.class_token, vit.encoder.pos_embedding
        self.dropout, self.blocks = vit.encoder.dropout, nn.ModuleList(vit.encoder.layers)
        self.norm, self.pool, self.heads = vit.encoder.ln, FirstToken(), vit.heads
        for module in set(self.modules()) - set(vit.modules()):
            module.training = vit.training

    def tokens(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        return self.dropout(self.positions(self.prepend(self.cells(self.patches(x)))))

    def readout(self, tokens: Float[Tensor, "B N D"]) -> Logits:
        return self.heads(self.pool(self.norm(tokens)))


def from_torchvision(vit: VisionTransformer) -> TorchvisionViT:
    """Torchvision's Vision Transformer in three parts: the same modules and weights, and exactly the same logits.

    Nothing is copied: what happens to the weights of one happens to the other.

    Raises:
        ValueError: `vit` is another kind of network; the result is called on pictures of another size.
    """
    right = isinstance(vit, VisionTransformer)
    hint = "from_torchvision(torchvision.models.vit_b_16(weights='DEFAULT'))"
    require(right, "from_torchvision: the model must be torchvision's VisionTransformer", type(vit).__name__, hint)
    return TorchvisionViT(vit)
