"""TRAK: a network as a linear model of its gradients, averaged over several trainings (arXiv:2303.14186)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xnb.access.draws import make_generator
from xnb.access.score import logits
from xnb.check import require
from xnb.data.split import Part
from xnb.insight.influence.gradients import Rows, example_gradients, margin_of
from xnb.insight.influence.registry import influence


@influence(needs="many models", unit="log-odds", paper="Park et al. 2023, arXiv:2303.14186")
def trak(
    model: nn.Module | Sequence[nn.Module],
    train: Part,
    test: Part,
    *,
    size: int = 512,
    damping: float = 1e-6,
    seed: int = 0,
) -> Float[Tensor, "B N"]:
    r"""By how much a training input raises the log-odds of a test input's class, mean over trainings.

    .. math:: I_{bn} = \overline{\phi_b^\top (\Phi^\top \Phi)^{-1} \phi_n} \cdot \overline{1 - p_n}

    :math:`\phi` is the gradient of the log-odds at the parameters, projected at random to `size` numbers; :math:`p_n`
    the probability of the class that the input was told. One training gives noisy numbers: the paper takes ten to a
    hundred, each on another half of the data. It misleads where `size` is no smaller than the number of inputs: the
    linear model then fits anything, and `damping` decides.

    Args:
        model: several trainings, in evaluation mode.
        size: of the projection; where the model has fewer parameters they are taken as they are.
        damping: added to the diagonal, as a share of its mean.
        seed: of the projection.

    Raises:
        ValueError: no model, or what `example_gradients` refuses.
    """
    trainings = [model] if isinstance(model, nn.Module) else list(model)
    require(bool(trainings), "trak: at least one training", model, "model = [net]")
    require(size >= 1, "trak: size must be at least 1", size, "size=512")
    kernels, doubts = [], []
    for number, training in enumerate(trainings):
        generator = make_generator(f"projection of training {number}", seed)
        kernels.append(_compare_features(training, train, test, size, damping, generator))
        p = logits(training, train.x).softmax(1)
        doubts.append(1 - p.gather(1, train.y[:, None])[:, 0])
    # an input that is learned to the end pulls at nothing, whatever its features
    doubt = torch.stack(doubts).mean(0)
    return torch.stack(kernels).mean(0) * doubt


def _compare_features(
    model: nn.Module, train: Part, test: Part, size: int, damping: float, generator: torch.Generator
) -> Float[Tensor, "B N"]:
    """Products of features of one training, with the inverse of their second moments between them."""
    of_train = example_gradients(model, train, margin_of)
    of_test = example_gradients(model, test, margin_of)
    if of_train.shape[1] > size:
        normal = torch.randn(of_train.shape[1], size, generator=generator)
        projection = normal.to(of_train) / size**0.5
        of_train = of_train @ projection
        of_test = of_test @ projection
    return _whiten(of_train, damping, of_test)


def _whiten(of_train: Rows, damping: float, of_test: Float[Tensor, "B P"]) -> Float[Tensor, "B N"]:
    moments = (of_train.T @ of_train).double()
    moments.diagonal().add_(damping * moments.diagonal().mean())
    solved = torch.linalg.solve(moments, of_train.T.double())
    return (of_test.double() @ solved).to(of_train.dtype)
