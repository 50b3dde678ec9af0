"""Networks whose attention is written in every way that is in use, and inputs for them."""

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from xnb.models.attention_pooling import AttentionPool, MeanPool
from xnb.models.vit import ViT


class Masked(nn.Module):
    """A multi-head attention whose keys are hidden by both kinds of mask."""

    def __init__(self):
        super().__init__()
        self.mix, self.head = nn.MultiheadAttention(6, 2, batch_first=True, kdim=6, vdim=6), nn.Linear(6, 3)

    def forward(self, x):
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        last = (torch.arange(x.shape[1]) == x.shape[1] - 1).expand(x.shape[:2])
        return self.head(self.mix(x, x, x, attn_mask=later, key_padding_mask=last)[0].mean(1))


class WrittenOut(nn.Module):
    """Attention as tutorials write it: inputs and heads folded into one axis, `bmm`."""

    def __init__(self):
        super().__init__()
        self.qkv, self.head = nn.Linear(6, 18), nn.Linear(6, 3)

    def forward(self, x):
        q, k, v = (part.unflatten(2, (2, 3)).transpose(1, 2).flatten(0, 1) for part in self.qkv(x).chunk(3, 2))
        weights = F.dropout(F.softmax(torch.bmm(q, k.mT) / 3**0.5, dim=-1), 0.1, self.training)
        mixed = torch.bmm(weights, v).view(len(x), 2, -1, 3)
        return self.head(mixed.transpose(1, 2).flatten(2).mean(1))


class Grouped(nn.Module):
    """Four query heads share two heads of keys and values; later tokens are hidden."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.head = nn.Linear(6, 8), nn.Linear(6, 4), nn.Linear(8, 3)

    def forward(self, x):
        q, k = (part.unflatten(2, (-1, 2)).transpose(1, 2) for part in (self.q(x), self.k(x)))
        mixed = F.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True, scale=0.7)
        return self.head(mixed.transpose(1, 2).flatten(2).mean(1))


def encoder():
    layer = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), MeanPool(), nn.Linear(6, 3))


SEQUENCES = torch.randn(4, 5, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0))
PICTURES = torch.randn(3, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(1))
KINDS = {
    "ours": (lambda: ViT(16, 4, classes=3, width=8, depth=2, heads=2), PICTURES),
    "registers": (lambda: ViT(16, 4, classes=3, width=8, depth=2, heads=2, pool="mean", registers=2), PICTURES),
    "torchvision": (lambda: VisionTransformer(16, 4, 2, 2, 8, 16, num_classes=3), PICTURES),
    "encoder layer": (encoder, SEQUENCES),
    "masks": (Masked, SEQUENCES),
    "written out": (WrittenOut, SEQUENCES),
    "grouped": (Grouped, SEQUENCES),
    "pooling": (lambda: nn.Sequential(AttentionPool(6, 4, gated=True), nn.Linear(6, 3)), SEQUENCES),
}


def build_network(kind):
    """The network of a kind, with every weight drawn, and its inputs."""
    make, x = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make().double().eval()
        for weights in model.parameters():
            nn.init.normal_(weights, 0, 0.3)
    return model, x
