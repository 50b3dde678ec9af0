"""TracIn: how much each step of a training along one input has changed the loss of another (arXiv:2002.08484)."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from xnb.check import require
from xnb.data.split import Part
from xnb.insight.influence.gradients import example_gradients
from xnb.insight.influence.registry import influence


@influence(needs="checkpoints", unit="nats", paper="Pruthi et al. 2020, arXiv:2002.08484")
def trac_in(
    model: nn.Module | Sequence[nn.Module],
    train: Part,
    test: Part,
    *,
    rates: Sequence[float] | float = 1.0,
    parameters: Sequence[str] | None = None,
) -> Float[Tensor, "B N"]:
    r"""Products of gradients, summed over checkpoints of one training.

    .. math:: I_{bn} = \sum_t \eta_t \nabla \ell_b(\theta_t)^\top \nabla \ell_n(\theta_t)

    A step along a training input lowers the loss of a test input by about this much, so positive inputs have helped.
    It misleads where one class has larger gradients than others, as mislabelled and rare inputs have: these are
    influential for everything. It has no notion of what other inputs would have taught in their place.

    Args:
        model: checkpoints of one training, in evaluation mode; a single one has the last gradients alone.
        rates: the learning rate at each checkpoint, times the steps that were taken at it; one number for all.

    Raises:
        ValueError: no checkpoint, another number of rates, or what `example_gradients` refuses.
    """
    checkpoints = [model] if isinstance(model, nn.Module) else list(model)
    require(bool(checkpoints), "trac_in: at least one checkpoint", model, "model = [net]")
    count = len(checkpoints)
    steps = [rates] * count if isinstance(rates, int | float) else list(rates)
    rule = f"trac_in: a rate for each of {count} checkpoints, or one for all"
    require(len(steps) == count, rule, rates, "rates=0.1")
    total = train.x.new_zeros(len(test), len(train))
    # gradients of one checkpoint at a time: all of them together may not fit in memory
    for checkpoint, rate in zip(checkpoints, steps, strict=True):
        of_test = example_gradients(checkpoint, test, names=parameters)
        of_train = example_gradients(checkpoint, train, names=parameters)
        total += rate * of_test @ of_train.T
    return total
