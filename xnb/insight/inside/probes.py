"""Linear probes: what can be read from a layer, beside what the probe would read from anything."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.check import require
from xnb.types import Target

_MOST_STEPS = 2000


@dataclass(frozen=True)
class Probe:
    """How well a linear model reads a property from features.

    Args:
        accuracy: on features that it was not fitted to.
        control: the same with the labels of the fitted features exchanged at random, mean of the repeats.
        memory: accuracy of those controls on the features that they were fitted to: what a probe can learn by heart.
    """

    accuracy: float
    control: float
    memory: float

    @property
    def selectivity(self) -> float:
        """Accuracy less that of the control: what the features know, and not the probe."""
        return self.accuracy - self.control


def fit_probe(
    features: Float[Tensor, "N D"],
    y: Target,
    new_features: Float[Tensor, "M D"],
    new_y: Int[Tensor, " M"],
    *,
    penalty: float = 1.0,
    repeats: int = 4,
    seed: int = 0,
) -> Probe:
    """Fit logistic regression to features of a layer, and to the same with exchanged labels (arXiv:1909.03368).

    That a property can be read does not show that the network uses it: that takes a change of the layer. A probe on
    many features of few inputs learns any labels by heart, which `memory` shows.

    Args:
        features: of inputs that the probe is fitted to; they are standardised by their own mean and deviation.
        new_features: of others, on which it is judged.
        penalty: on the squared weights.
        repeats: exchanges of the labels.

    Raises:
        ValueError: fewer than two classes, or no repeat.
    """
    classes = len(y.unique())
    require(classes >= 2, "fit_probe: at least two classes", classes, "y = part.y")
    require(repeats >= 1, "fit_probe: repeats must be at least 1", repeats, "repeats=4")
    scaler = StandardScaler().fit(features.numpy(force=True))
    old, new = (scaler.transform(each.numpy(force=True)) for each in (features, new_features))
    own, wanted = y.numpy(force=True), new_y.numpy(force=True)
    generator = make_generator("labels of a control", seed)
    controls = []
    for _ in range(repeats):
        # the same labels, as often each, at other inputs
        exchanged = own[torch.randperm(len(own), generator=generator).numpy()]
        control = _fit_logistic(old, exchanged, penalty)
        controls.append((control.score(new, wanted), control.score(old, exchanged)))
    control_accuracy, memory = np.mean(controls, 0)
    accuracy = _fit_logistic(old, own, penalty).score(new, wanted)
    return Probe(float(accuracy), float(control_accuracy), float(memory))


def _fit_logistic(features: np.ndarray, y: np.ndarray, penalty: float) -> LogisticRegression:
    return LogisticRegression(C=1 / penalty, max_iter=_MOST_STEPS).fit(features, y)
