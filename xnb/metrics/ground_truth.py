"""Agreement with an explanation that is known to be true, and how far a score moves where an explanation points.

The metrics of OpenXAI, for inputs whose values are the features `(B, D)`. They ask what the score depends on *here*:
a truth that is a contribution, `weight * (x - baseline)`, and one that is a weight are two truths, and a method that is
exact for one has no reason to agree with the other.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.access.score import score
from xnb.types import Attribution, Batch, Model, Scores, Target


def top_agreement(
    a: Float[Tensor, "B D"],
    truth: Float[Tensor, "B D"],
    k: int = 5,
    *,
    rank: bool = False,
    sign: bool = False,
) -> Float[Tensor, " B"]:
    r"""Return which share of the k largest magnitudes of an attribution are among the k largest of the truth.

    .. math:: \frac{|\mathrm{top}_k(a) \cap \mathrm{top}_k(t)|}{k}

    Feature agreement; with `sign` only features of the same sign count (sign agreement), with `rank` only those that
    stand at the same rank (rank agreement), with both it is signed rank agreement. 1: all, 0: none. By chance k / D,
    1 / D with `rank`, and half of each with `sign`. Ties are broken by the number of the feature.

    Args:
        a: one value a feature.
        truth: the same of the true explanation.
        k: how many features an explanation names.

    Source: Krishna et al. 2022, arXiv:2202.01602; Agarwal et al. 2022, arXiv:2206.11104
    """
    names = _rank_features(a)[:, :k]
    true_names = _rank_features(truth)[:, :k]
    # (B, k, k): whether place i of the attribution and place j of the truth name the same feature
    same = names[:, :, None] == true_names[:, None]
    agrees = same.diagonal(dim1=1, dim2=2) if rank else same.any(2)
    if sign:
        same_sign = a.sign() == truth.to(a).sign()
        agrees = agrees & same_sign.gather(1, names)
    return agrees.double().mean(1)


def _rank_features(a: Float[Tensor, "B D"]) -> Tensor:
    return a.detach().abs().sort(dim=1, descending=True, stable=True).indices


def prediction_gap(
    model: Model,
    x: Batch,
    target: Target,
    a: Attribution,
    *,
    k: int = 5,
    important: bool = True,
    noise: float = 1.0,
    draws: int = 64,
    seed: int = 0,
) -> Scores:
    r"""Return by how much the score moves when noise is added to the k features an attribution names. Unit: score.

    .. math:: \mathbb{E}_{\epsilon \sim N(0, \sigma^2)} \, |f(x) - f(x + \epsilon_K)|

    with noise on the k largest magnitudes alone (PGI, larger is better) or on all other features (PGU, smaller is
    better). Noise is drawn for each input and feature, the same for every attribution of that seed. It needs no truth,
    but has one: of a linear score the gap is :math:`\sigma \sqrt{2 / \pi \sum_{j \in K} w_j^2}`, so nothing beats the
    features of the largest weights, and a feature that decided because its *value* is large counts no more. OpenXAI
    measures the probability; of a sure prediction that hardly moves.

    Args:
        k: how many features an explanation names.
        important: noise on the features that are named; False: on the others.
        noise: standard deviation, in the unit of the features.
        draws: of the noise.
        seed: of the noise.

    Source: Petsiuk et al. 2018, arXiv:1806.07421; Agarwal et al. 2022, arXiv:2206.11104
    """
    # A feature's place in the order of magnitudes, 0 the largest.
    places = _rank_features(a).argsort(1)
    is_moved = (places < k) == important
    generator = make_generator("noise of a prediction gap", seed)
    total = torch.zeros(len(x), dtype=torch.double)
    before = score(model, x, target).double().cpu()
    for _ in range(draws):
        # Drawn in double on the processor, so that every device sees the same noise.
        epsilon = noise * torch.randn(x.shape, generator=generator, dtype=torch.double).to(x)
        after = score(model, x + epsilon * is_moved, target)
        total += (after.double().cpu() - before).abs()
    return (total / draws).to(x)
