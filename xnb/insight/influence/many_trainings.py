"""Many small networks trained at once: what leaving out each of a hundred inputs takes, in seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from xnb.check import require
from xnb.data.split import Part
from xnb.progress import show_progress
from xnb.types import Batch

Weights = dict[str, Tensor]  # by name, a row for each network


@dataclass(frozen=True, eq=False)
class ManyNetworks:
    """Networks of one form, each with weights of its own.

    Args:
        form: whose weights are exchanged.
        weights: of all networks.
    """

    form: nn.Module
    weights: Weights

    def logits(self, x: Batch) -> Float[Tensor, "M B K"]:
        """Logits of every network for the same inputs, without a graph."""
        with torch.no_grad():
            return vmap(lambda own: functional_call(self.form, own, (x.clone(),)))(self.weights)

    def take(self, number: int) -> nn.Module:
        """Return the form itself with the weights of one network; the next call changes it."""
        own = {name: rows[number] for name, rows in self.weights.items()}
        self.form.load_state_dict(own)
        return self.form


def train_many(
    make: Callable[[int], nn.Module],
    part: Part,
    weights: Float[Tensor, "M N"],
    seeds: Sequence[int],
    *,
    steps: int = 300,
    rate: float = 0.1,
    momentum: float = 0.9,
    damping: float = 1e-3,
) -> ManyNetworks:
    r"""Train a network for each row of weights by gradient descent with momentum, all of them in one batched pass.

    Each minimises :math:`\frac{1}{N} \sum_n w_n \ell_n + \frac{\lambda}{2} |\theta|^2` on all inputs at every step, so
    that nothing is random but the start: a weight of 0 leaves an input out, and another network with the same seed
    differs from it by that alone.

    Args:
        make: returns a new network in evaluation mode, its start drawn from the seed alone; without buffers.
        weights: of each input in each training.
        seeds: of each training's start.
        rate: of learning.
        damping: lambda.

    Raises:
        ValueError: another number of seeds than of rows, or networks with buffers, as batch norms have.
    """
    rule = f"train_many: a seed for each of the {len(weights)} rows of weights"
    require(len(seeds) == len(weights), rule, len(seeds), "seeds=[0] * len(weights)")
    networks = {seed: make(seed) for seed in set(seeds)}
    parameters, buffers = stack_module_state([networks[seed] for seed in seeds])
    rule = "train_many: networks must be without buffers, as batch norms have"
    require(not buffers, rule, list(buffers), "make = lambda seed: xnb.models.Net(part.x[0].numel()).eval()")
    form = networks[seeds[0]]
    step = vmap(grad(_make_objective(form, part, damping)))
    # no optimizer of torch takes gradients that came from elsewhere for many networks at once
    velocity = {name: torch.zeros_like(rows) for name, rows in parameters.items()}
    with torch.no_grad():
        for _ in show_progress(range(steps), steps, "step"):
            for name, gradient in step(parameters, weights).items():
                velocity[name] = momentum * velocity[name] + gradient
                parameters[name] = parameters[name] - rate * velocity[name]
    return ManyNetworks(form, parameters)


def _make_objective(form: nn.Module, part: Part, damping: float) -> Callable[[Weights, Tensor], Tensor]:
    """What one network minimises, as a function of its parameters and of the weights of the inputs."""

    def objective(parameters: Weights, weights: Tensor) -> Tensor:
        losses = F.cross_entropy(functional_call(form, parameters, (part.x.clone(),)), part.y, reduction="none")
        squares = [parameter.square().sum() for parameter in parameters.values()]
        penalty = damping / 2 * torch.stack(squares).sum()
        return (weights * losses).mean() + penalty

    return objective
