"""Concept activation vectors: does a concept, given by examples, change what the network says (TCAV)?"""

from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from xnb.access.at_layer import activation_and_gradient, layer_activation
from xnb.check import require
from xnb.types import Batch, Target

_MOST_STEPS = 2000


class ConceptTest(NamedTuple):
    """TCAV scores of a concept and of random ones.

    Attributes:
        scores: with each random set as counterpart, the share of inputs whose score rises along the concept.
        controls: the same with two random sets in place of the concept and its counterpart.
        p_value: of Mann and Whitney's test that neither is larger; not corrected for several concepts. The paper has a
            t-test, which has no answer where all scores are 1.
    """

    scores: Float[Tensor, " R"]
    controls: Float[Tensor, " S"]
    p_value: float


def find_concept(
    model: nn.Module, concept: Batch, others: Batch, layer: str, *, penalty: float = 1.0
) -> Float[Tensor, " D"]:
    """Direction in which a layer's outputs of the concept lie from those of others: of length one.

    The normal of the plane that logistic regression puts between them. It misleads where any two sets can be parted,
    as in a layer of more numbers than there are examples: random sets have a direction too.

    Args:
        concept: examples of the concept.
        others: what it is held against.
        penalty: on the squared weights.
    """
    rows = [layer_activation(model, x, layer).activation.flatten(1).double() for x in (concept, others)]
    features = torch.cat(rows).numpy(force=True)
    labels = np.repeat([1, 0], [len(each) for each in rows])
    fitted = LogisticRegression(C=1 / penalty, max_iter=_MOST_STEPS).fit(features, labels)
    normal = fitted.coef_[0]
    return torch.from_numpy(normal / np.linalg.norm(normal)).to(concept)


def measure_concept(
    model: nn.Module, x: Batch, target: Target, layer: str, direction: Float[Tensor, " D"]
) -> Float[Tensor, " B"]:
    """Slope of the score along a direction of a layer, one number an input (arXiv:1711.11279)."""
    gradient = cast(Tensor, activation_and_gradient(model, x, target, layer).gradient)
    return gradient.flatten(1) @ direction.to(gradient)


def compare_concept(
    model: nn.Module, x: Batch, target: Target, layer: str, concept: Batch, random_sets: list[Batch]
) -> ConceptTest:
    """TCAV: the share of inputs whose score rises along a concept, beside random sets, with a test over the sets.

    Kim et al. 2018 (arXiv:1711.11279). A score of 1 or 0 is no evidence by itself: random directions often have it
    too. The test asks whether the concept's share differs from that of random sets; it says nothing of size, and its
    sets overlap, so that its p-values are too small.

    Args:
        x: inputs of one class, mostly.
        concept: examples of the concept.
        random_sets: sets of inputs, of which any two make a control.

    Raises:
        ValueError: fewer than three random sets.
    """
    rule = "compare_concept: at least three random sets"
    require(len(random_sets) >= 3, rule, len(random_sets), "random_sets = [part.x[k::4] for k in range(4)]")

    def share(one: Batch, other: Batch) -> float:
        slopes = measure_concept(model, x, target, layer, find_concept(model, one, other, layer))
        return float((slopes > 0).double().mean())

    scores = [share(concept, other) for other in random_sets]
    # each set beside the next, and the last beside the first
    next_sets = [*random_sets[1:], random_sets[0]]
    controls = [share(one, other) for one, other in zip(random_sets, next_sets, strict=True)]
    p_value = float(mannwhitneyu(scores, controls).pvalue)
    return ConceptTest(torch.tensor(scores), torch.tensor(controls), p_value)
