"""Vision Transformers: a small one of our own, and torchvision's in the same three stages."""

from abc import abstractmethod

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
        nearest = heads * max(1, width // heads)
        hint = f"width={nearest}"
        divides = width % heads == 0
        require(divides, "SelfAttention: width must be a multiple of heads", (width, heads), hint)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.attend = Attend(heads)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        query = self.query(x)
        key = self.key(x)
        value = self.value(x)
        return self.out(self.attend(query, key, value))


class Block(nn.Module):
    """Attention, then a network on each token alone, each behind a layer norm and beside a shortcut.

    Works for any number of tokens. `12 width^2 + 13 width` parameters at `ratio=4`.

    Args:
        width: numbers a token.
        heads: number of attention heads; each has `width / heads` of the numbers.
        ratio: width of the hidden layer, in widths.
    """

    def __init__(self, width: int, heads: int, ratio: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.add1 = Add()
        self.norm2 = nn.LayerNorm(width)
        self.add2 = Add()
        hidden = ratio * width
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        attention_update = self.attention(self.norm1(x))
        x = self.add1(x, attention_update)
        mlp_update = self.mlp(self.norm2(x))
        return self.add2(x, mlp_update)


class Positions(nn.Module):
    """Learned numbers added to each token, from which the network knows its position.

    Raises:
        ValueError: called on another number of tokens.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        start = torch.empty(1, count, width).normal_(std=0.02)
        self.positions = nn.Parameter(start)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        count = self.positions.shape[1]
        rule = f"Positions: there must be {count} tokens, as the input must have the size that the network is made for"
        require(tokens.shape[1] == count, rule, tokens, "x of the size that the network is made for")
        return tokens + self.positions


def _wave_positions(side: int, width: int) -> Float[Tensor, "N D"]:
    """Sines and cosines of row and column, with periods from 22 cells down to two."""
    require(width % 4 == 0, "ViT: width must be a multiple of 4 for waves", width, "waves=0")
    octaves = torch.linspace(3.5, 0, width // 4)
    frequencies = torch.pi / 2**octaves  # radians a cell
    angles = torch.arange(side)[:, None] * frequencies
    line = torch.cat([angles.sin(), angles.cos()], 1)
    of_row = line[:, None].expand(-1, side, -1)
    of_column = line.expand(side, -1, -1)
    return torch.cat([of_row, of_column], 2).flatten(0, 1)


class Transformer(nn.Module):
    """A network in three stages, `readout(blocks(tokens(x)))`, so that an explanation can start between them.

    This is the protocol that `xnb.methods.tokens` asks of a model. A module of another class follows it by having the
    same members, or its stages are found by watching it run (`xnb.access.attention.stages`); subclasses define

    - `tokens(x)`: tokens `(B, N, D)` that enter the first block;
    - `blocks`: the blocks in their order, each a module from tokens to tokens of the same shape;
    - `readout(tokens)`: logits `(B, K)` of the tokens that leave the last block;
    - `prefix`: the number of tokens in front that are no pieces of the input, such as a class token and registers.

    The other tokens are the pieces of the input in its order: the patches of a picture row by row, the features of a
    record. The methods on tokens do not read `prefix`: they see which token reads which piece.
    """

    prefix: int
    blocks: nn.ModuleList

    @abstractmethod
    def tokens(self, x: Batch) -> Float[Tensor, "B N D"]:
        """Tokens that enter the first block."""

    @abstractmethod
    def readout(self, tokens: Float[Tensor, "B N D"]) -> Logits:
        """Logits of the tokens that leave the last block."""

    def forward(self, x: Batch) -> Logits:
        tokens = self.tokens(x)
        for block in self.blocks:
            tokens = block(tokens)
        return self.readout(tokens)


def _start_linear_layers(network: nn.Module) -> None:
    """Draw the weights of all linear layers as torchvision does; with torch's own start a network learns later."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)


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
        heads: number of attention heads in each block; divides `width`.
        pool: "class" reads out a class token, "mean" the mean over the patches.
        registers: number of further learned tokens, which are not read out (arXiv:2309.16588).
        overlap: pixels beyond its edges that a patch also reads. With 2 a small network learns much faster.
        mean: mean of the pixels, for standardising them: a network takes twice as long to learn without.
        std: standard deviation of the pixels.
        waves: height of the sines and cosines that the patches' positions start as; 0 starts them as noise. With 0.2
            neighbouring patches start with similar positions, and a small network stops guessing sooner.

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
        nearest = max(1, size // patch) * patch
        hint = f"size={nearest}"
        divides = size % patch == 0
        require(divides, "ViT: size must be a multiple of patch", (size, patch), hint)
        require(pool in ("class", "mean"), "ViT: pool must be class or mean", pool, "pool='class'")
        self.prefix = registers + (pool == "class")
        self.standardise = Standardise(mean, std)
        kernel = patch + 2 * overlap
        self.patches = nn.Conv2d(channels, width, kernel, stride=patch, padding=overlap)
        self.cells = Cells()
        self.prepend = Prepend(self.prefix, width) if self.prefix else nn.Identity()
        side = size // patch
        self.positions = Positions(self.prefix + side**2, width)
        if waves:  # a class token and registers lie nowhere in the picture
            of_patches = self.positions.positions.data[0, self.prefix :]
            of_patches.copy_(waves * _wave_positions(side, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        self.pool = FirstToken() if pool == "class" else MeanPool(self.prefix)
        _start_linear_layers(self)

    def tokens(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        patches = self.cells(self.patches(self.standardise(x)))
        return self.positions(self.prepend(patches))

    def readout(self, tokens: Float[Tensor, "B N D"]) -> Logits:
        return self.head(self.pool(self.norm(tokens)))


class TorchvisionViT(Transformer):
    """Torchvision's Vision Transformer in three stages, see `from_torchvision`."""

    prefix = 1

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        self.patches = vit.conv_proj
        self.cells = Cells()
        self.prepend = Prepend(1, vit.hidden_dim)
        self.prepend.tokens = vit.class_token
        self.positions = Positions(vit.seq_length, vit.hidden_dim)
        self.positions.positions = vit.encoder.pos_embedding
        self.dropout = vit.encoder.dropout
        self.blocks = nn.ModuleList(vit.encoder.layers)
        self.norm = vit.encoder.ln
        self.pool = FirstToken()
        self.heads = vit.heads
        # a new module starts in training mode, whatever mode the others are in
        for module in set(self.modules()) - set(vit.modules()):
            module.training = vit.training

    def tokens(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        patches = self.cells(self.patches(x))
        return self.dropout(self.positions(self.prepend(patches)))

    def readout(self, tokens: Float[Tensor, "B N D"]) -> Logits:
        return self.heads(self.pool(self.norm(tokens)))


def from_torchvision(vit: VisionTransformer) -> TorchvisionViT:
    """Torchvision's Vision Transformer in three stages: the same modules and weights, and exactly the same logits.

    Nothing is copied: a change to the weights of one is a change to the other.

    Raises:
        ValueError: `vit` is another kind of network; the result is called on pictures of another size.
    """
    is_vit = isinstance(vit, VisionTransformer)
    hint = "import torchvision; xnb.models.from_torchvision(torchvision.models.vit_b_16())"
    rule = "from_torchvision: the model must be torchvision's VisionTransformer"
    require(is_vit, rule, type(vit).__name__, hint)
    return TorchvisionViT(vit)
