"""Networks on records of numbers: a Transformer and attention pooling over features, and logistic regression.

`models.Net(in_features=features, classes=classes)` is the plain network beside them.
"""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xnb.check import require
from xnb.models.attention_pooling import AttentionPool
from xnb.models.layers import FirstToken, Prepend
from xnb.models.vit import Block, Transformer
from xnb.types import Logits


class FeatureTokens(nn.Module):
    """One token a feature: `token_j = x_j * weight_j + bias_j` (arXiv:2106.11959).

    Raises:
        ValueError: called on inputs of another number of features.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5  # as in the paper's code
        weight = torch.empty(features, width).uniform_(-bound, bound)
        bias = torch.empty(features, width).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B D width"]:
        features = len(self.weight)
        is_one = x.shape == (features,)
        require(not is_one, "FeatureTokens: x must have a batch axis (B, D)", x, "x = x[None]")
        hint = f"FeatureTransformer(features={x.shape[1:].numel()})"
        rule = f"FeatureTokens: an input must hold {features} features"
        require(x.shape[1:] == (features,), rule, x, hint)
        return x.unsqueeze(2) * self.weight + self.bias


class FeatureTransformer(Transformer):
    """Transformer over features (FT-Transformer, arXiv:2106.11959): tokens, pre-norm blocks, the class token read out.

    `forward(x)` is `readout(blocks(tokens(x)))`; the first `prefix` tokens are no features. Attention costs grow with
    the square of the number of features. 7,602 parameters for 30 features at the defaults.

    Args:
        features: numbers an input; their order means nothing, as each has its own weights.
        classes: number of logits.
        width: numbers a token.
        depth: number of blocks.
        heads: number of attention heads in each block; divides `width`.

    Raises:
        ValueError: called on inputs of another number of features.
    """

    prefix = 1

    def __init__(
        self,
        features: int,
        classes: int = 2,
        width: int = 16,
        depth: int = 2,
        heads: int = 2,
    ) -> None:
        super().__init__()
        self.embed = FeatureTokens(features, width)
        self.prepend = Prepend(1, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.pool = FirstToken()
        self.head = nn.Linear(width, classes)

    def tokens(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B N width"]:
        return self.prepend(self.embed(x))

    def readout(self, tokens: Float[Tensor, "B N width"]) -> Logits:
        return self.head(self.pool(self.norm(tokens)))


class FeatureAttention(nn.Module):
    """Attention pooling over feature tokens with a linear head: the logit is a weighted sum over features.

    Weights depend on the tokens one by one, so features interact only through the softmax that they share.

    Args:
        features: numbers an input.
        classes: number of logits.
        width: numbers a token, and units of the hidden layer that scores it.

    Raises:
        ValueError: called on inputs of another number of features.
    """

    def __init__(self, features: int, classes: int = 2, width: int = 16) -> None:
        super().__init__()
        self.embed = FeatureTokens(features, width)
        self.pool = AttentionPool(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Float[Tensor, "B D"]) -> Logits:
        return self.head(self.pool(self.embed(x)))


class Logistic(nn.Sequential):
    """Logistic regression, for comparison: linear logits, one row of weights a class.

    One unit more of feature j multiplies the odds of class k against class l by `exp(weight[k, j] - weight[l, j])`.
    Misleads where features are correlated: the weights of two that carry the same information may have opposite signs.

    Args:
        features: numbers an input.
        classes: number of logits.
    """

    def __init__(self, features: int, classes: int = 2) -> None:
        super().__init__(OrderedDict(linear=nn.Linear(features, classes)))
