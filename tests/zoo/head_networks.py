"""Networks whose output or input needs an adapter, and further forms of attention."""

import numpy as np
import torch
from animal import Animal
from picture_networks import classify, picture
from sequence_networks import FeatureTokens, Patches, Recurrent, Tokens
from torch import nn
from torch.nn import functional as F

from xnb import adapters


class Segmentation(nn.Module):
    """Logits for every pixel, in a dictionary, as torchvision's segmentation networks have them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.GELU(), nn.Conv2d(5, 3, 3, padding=1))

    def forward(self, x):
        return {"out": self.body(x)}


class Named(nn.Module):
    """Logits under a name."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return {"logits": self.body(x), "hidden_states": None}


class Regression(nn.Module):
    """One number an input, `(B,)`."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x):
        return self.body(x)[:, 0]


class EveryStep(Recurrent):
    """Logits after every step."""

    def forward(self, x):
        out, _ = self.body(x)
        return self.head(out)


class Text(nn.Module):
    """Token ids, positions, one layer of attention, the mean."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.positions = nn.Parameter(torch.randn(5, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, ids):
        return self.head(self.layer(self.table(ids) + self.positions).mean(1))


class Windows(nn.Module):
    """Attention within windows of 2 x 2 patches that are shifted by one, channels on the last axis, as in Swin."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(2, 8, 2, 2)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.project = nn.Linear(8, 8)
        self.bias = nn.Parameter(torch.randn(2, 4, 4))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).permute(0, 2, 3, 1)
        return self.head((x + self.attend(self.norm(x))).mean((1, 2)))

    def attend(self, x):
        B, H, W, C = x.shape
        x = torch.roll(x, (-1, -1), (1, 2)).view(B, H // 2, 2, W // 2, 2, C)
        windows = x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, C)
        q, k, v = self.qkv(windows).view(-1, 4, 3, 2, C // 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.mT / 2 + self.bias).softmax(3)
        out = self.project((weights @ v).transpose(1, 2).flatten(2))
        out = out.view(B, H // 2, W // 2, 2, 2, C).permute(0, 1, 3, 2, 4, 5).reshape(B, H, W, C)
        return torch.roll(out, (1, 1), (1, 2))


class SharedKeys(Tokens):
    """Multi-query attention: every head has its own queries, all share one head of keys and values."""

    def attend(self, q, k, v):
        k, v = k[:, :1], v[:, :1]
        return (q @ k.mT / 2).softmax(3) @ v.expand(-1, q.shape[1], -1, -1)


class AttentionPooling(nn.Module):
    """Instances averaged by weights that are learnt (Ilse et al. 2018, arXiv:1802.04712)."""

    def __init__(self):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
        self.rating = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1))
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        instances = self.each(x)
        weights = self.rating(instances).softmax(1)
        return self.head((weights * instances).sum(1))


class TwoPictures(nn.Module):
    """A picture beside another one, that belongs to it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(1, 4, 3, padding=1)
        self.last = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x, other):
        both = torch.cat([self.first(x), self.second(other)], 1)
        return self.last(F.relu(both)).mean((2, 3))


class ManyLabels(nn.Sequential):
    """Four labels that do not exclude each other."""

    def __init__(self):
        super().__init__(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 4))


def segmented_region():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:5, 1:7] = True
    return adapters.region(Segmentation(), mask)


def embedded_text():
    ids = torch.tensor([[1, 4, 2, 9, 5], [3, 3, 7, 0, 1], [10, 8, 2, 6, 6]])
    model, _ = adapters.embed_tokens(Text().eval(), ids)
    return model


def beside_another():
    other = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.double)
    return adapters.with_inputs(TwoPictures(), other)


def rate_features(x):
    """A function of arrays that no gradient goes through."""
    first = np.linspace(-1, 1, 30).reshape(6, 5)
    last = np.cos(np.arange(15)).reshape(5, 3)
    return np.tanh(x @ first) @ last


HEADS = {
    "dictionary": picture(lambda: adapters.logits(Named(classify(nn.ReLU()))), "model.body.1"),
    "one label of many": Animal(lambda: adapters.label(ManyLabels(), 2), (6,), classes=1),
    "region of a segmentation": picture(segmented_region, "model.body.2"),
    "pixel of a segmentation": picture(lambda: adapters.pixel(Segmentation(), 3, 4), "model.body.2"),
    "regression": Animal(lambda: adapters.two_classes(Regression()), (6,), classes=2),
    "step of a sequence": Animal(lambda: adapters.step(EveryStep(nn.GRU), 2), (5, 3), places=(1,)),
    "normalised picture": picture(lambda: adapters.normalise(classify(nn.ReLU()), [0.4, 0.6], [0.2, 0.3]), "model.1"),
    "embedded text": Animal(embedded_text, (5, 8), places=(1,), holds_rows=True),
    "contrast": picture(lambda: adapters.contrast(classify(nn.ReLU()), 2, 0), "model.1", classes=1),
    "black box": Animal(lambda: adapters.from_numpy(rate_features), (6,), differentiable=False),
    "shifted windows": picture(Windows),
    "multi-query attention": picture(lambda: SharedKeys(Patches(), first=1)),
    "records, multi-query attention": Animal(lambda: SharedKeys(FeatureTokens(), first=1), (6,)),
    "bag, attention pooling": Animal(AttentionPooling, (5, 4), places=(1,)),
    "picture beside another": picture(beside_another, "model.last", holds_rows=True),
}
