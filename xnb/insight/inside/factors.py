"""Features as few parts that add up: non-negative factors, and a sparse code that is trained; beside known factors."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from sklearn.decomposition import NMF
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from xnb.access.draws import make_generator
from xnb.check import require


@dataclass(frozen=True, eq=False)
class SparseCode:
    """Features as sums of parts, each with a size of its own, most of them zero.

    Args:
        directions: of the parts, a row each.
        encoder: from features to sizes, before what is negative becomes zero.
        bias: of the encoder.
        centre: that is taken off the features.
    """

    directions: Float[Tensor, "F D"]
    encoder: Float[Tensor, "F D"]
    bias: Float[Tensor, " F"]
    centre: Float[Tensor, " D"]

    def encode(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N F"]:
        """Sizes of the parts of each input."""
        centred = features - self.centre
        return F.relu(centred @ self.encoder.T + self.bias)

    def decode(self, code: Float[Tensor, "N F"]) -> Float[Tensor, "N D"]:
        """Features that these sizes add up to."""
        return code @ self.directions + self.centre


def factor_features(
    features: Float[Tensor, "N D"], count: int, *, seed: int = 0
) -> tuple[Float[Tensor, "N F"], Float[Tensor, "F D"]]:
    """Sizes and directions of non-negative factors whose products are near the features (NMF of scikit-learn).

    As CRAFT takes them (arXiv:2211.10154). Another number of factors gives other factors.

    Args:
        features: not negative, as behind a ReLU.
        count: of the factors.

    Raises:
        ValueError: negative features.
    """
    lowest = float(features.min())
    require(lowest >= 0, "factor_features: features must not be negative", lowest, "features = features.relu()")
    model = NMF(count, init="nndsvda", max_iter=1000, random_state=seed % 2**32)
    sizes = model.fit_transform(features.double().numpy(force=True))
    directions = torch.from_numpy(model.components_)
    return torch.from_numpy(sizes).to(features), directions.to(features)


def fit_sparse_code(
    features: Float[Tensor, "N D"],
    count: int,
    *,
    sparsity: float = 0.1,
    steps: int = 1000,
    rate: float = 0.01,
    seed: int = 0,
) -> SparseCode:
    r"""Train a sparse autoencoder of one hidden layer, on all features at every step.

    Minimises :math:`|h - \hat h|^2 + \lambda |z|_1` for features scaled to a mean length of one, with directions of
    length one (arXiv:2309.08600). Two trainings find other directions: what only one of them has is not in the
    features.

    Args:
        count: of the parts, mostly more than there are features.
        sparsity: lambda.
        rate: of Adam.

    Raises:
        ValueError: no part, or a sparsity below zero.
    """
    require(count >= 1, "fit_sparse_code: count must be at least 1", count, "count=64")
    require(sparsity >= 0, "fit_sparse_code: sparsity must not be negative", sparsity, "sparsity=0.1")
    centre = features.mean(0)
    scale = (features - centre).norm(dim=1).mean()
    h = (features - centre) / scale
    start = torch.randn(count, h.shape[1], generator=make_generator("sparse code", seed)).to(h)
    directions = F.normalize(start, dim=1).requires_grad_()
    encoder = directions.detach().clone().requires_grad_()
    bias = h.new_zeros(count, requires_grad=True)
    optimizer = torch.optim.Adam([directions, encoder, bias], lr=rate)
    for _ in range(steps):
        with torch.enable_grad():
            code = F.relu(h @ encoder.T + bias)
            # directions of length one: else sizes would shrink, and directions grow, at no cost
            rebuilt = code @ F.normalize(directions, dim=1)
            missed = (rebuilt - h).square().sum(1)
            loss = (missed + sparsity * code.sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unit = F.normalize(directions.detach(), dim=1)
    return SparseCode(unit, encoder.detach(), bias.detach() * scale, centre)


def match_factors(code: Float[Tensor, "N F"], known: Mapping[str, Tensor]) -> pd.DataFrame:
    """For each value of each known factor the part that tells it best, a row each.

    `auc` is the area under the ROC curve of that part's size (0.5 is chance, but the best of many parts is above it:
    compare with exchanged labels); `purity` the share of this value among the twentieth of the inputs in which the
    part is largest; `share` that among all inputs.

    Args:
        code: sizes of the parts.
        known: by name of the factor, its value for each input, as whole numbers.
    """
    sizes = code.double().numpy(force=True)
    rows = []
    for name, values in known.items():
        for value in values.unique().tolist():
            has_value = (values == value).numpy(force=True)
            rows.append({"factor": name, "value": value} | _match_part(sizes, has_value))
    return pd.DataFrame(rows)


def _match_part(sizes: np.ndarray, has_value: np.ndarray) -> dict[str, object]:
    """The part that tells best which inputs have a value."""
    areas = [roc_auc_score(has_value, column) for column in sizes.T]
    part = int(np.argmax(areas))
    most = max(1, len(sizes) // 20)
    largest = np.argsort(-sizes[:, part], kind="stable")[:most]
    purity = has_value[largest].mean()
    return {"part": part, "auc": areas[part], "purity": purity, "share": has_value.mean()}
