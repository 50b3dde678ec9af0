"""Networks whose mechanism is known, with the attributions that follow from it in closed form.

`model.truth(x, baseline)` maps names of methods to the attributions they must return for the one logit `(B, 1)`. An
explanation or a metric that is wrong here is wrong. The weights are fixed and not trained.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xnb.models.layers import Times, WeightedSum
from xnb.types import Logits

Rows = Float[Tensor, "B D"]
Truth = dict[str, Rows]


class Additive(nn.Module):
    r"""A sum of curves, :math:`f = \sum_j w_j x_j + c_j x_j^2`: nothing interacts, so all complete methods agree.

    Args:
        weights: :math:`w`, one a feature.
        curves: :math:`c`, one a feature.
    """

    def __init__(
        self,
        weights: Sequence[float] = (1.0, -2.0, 0.5),
        curves: Sequence[float] = (0.0, 1.0, -1.0),
    ) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights), requires_grad=False)
        self.curves = nn.Parameter(torch.tensor(curves), requires_grad=False)

    def each(self, x: Rows) -> Rows:
        """What each feature adds to the score."""
        return self.weights * x + self.curves * x.square()

    def forward(self, x: Rows) -> Logits:
        return self.each(x).sum(1, keepdim=True)

    def truth(self, x: Rows, baseline: Rows) -> Truth:
        change = self.each(x) - self.each(baseline)
        gradient = self.weights + 2 * self.curves * x
        complete = dict.fromkeys(("integrated_gradients", "exact_shapley", "feature_ablation"), change)
        return complete | {"gradient": gradient, "gradient_times_input": gradient * x}


class Gate(nn.Module):
    """The first feature opens the way for the second, `f = x_0 x_1`.

    Complete methods divide the product among the two, ablation gives all of it to each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times = Times()

    def forward(self, x: Float[Tensor, "B 2"]) -> Logits:
        return self.times(x[:, :1], x[:, 1:])

    def truth(
        self,
        x: Float[Tensor, "B 2"],
        baseline: Float[Tensor, "B 2"],
    ) -> Truth:
        other = x.flip(1)  # of each feature, the value of the other one
        other_baseline = baseline.flip(1)
        difference = x - baseline
        share = difference * (other + other_baseline) / 2
        ablated = difference * other
        truth = {"integrated_gradients": share, "exact_shapley": share, "feature_ablation": ablated}
        return truth | {"gradient": other, "gradient_times_input": x * other}


class Ridge(nn.Sequential):
    """One function of one weighted sum, as a network with a hidden layer; subclasses define both."""

    weights: tuple[float, float]

    def curve(self, s: Tensor) -> Tensor:
        """The score as a function of the weighted sum."""
        direction = self.direction
        x = s[..., None] * direction / direction.square().sum()  # an input that has this sum
        return super().forward(x).squeeze(-1)

    @property
    def direction(self) -> Float[Tensor, "2"]:
        """The weights of the sum, in the network's precision."""
        first = next(self.parameters())
        return first.new_tensor(self.weights)

    def truth(
        self,
        x: Float[Tensor, "B 2"],
        baseline: Float[Tensor, "B 2"],
    ) -> Truth:
        x_terms = x * self.direction
        baseline_terms = baseline * self.direction
        end = x_terms.sum(1, keepdim=True)
        start = baseline_terms.sum(1, keepdim=True)
        # With two features there are four coalitions: none, each alone, both; "alone" is "without" of the other.
        f_none = self.curve(start)
        f_both = self.curve(end)
        f_alone = self.curve(start + x_terms - baseline_terms)
        f_without = self.curve(end - x_terms + baseline_terms)
        ablated = f_both - f_without
        shapley = (f_alone - f_none + f_both - f_without) / 2
        # Along a straight path the weighted sum changes evenly, so the mean gradient is a difference quotient.
        mean_gradient = (f_both - f_none) / (end - start)
        integrated = (x_terms - baseline_terms) * mean_gradient
        return {"integrated_gradients": integrated, "exact_shapley": shapley, "feature_ablation": ablated}


class Saturation(Ridge):
    """`f = min(x_0 + x_1, 1)`: one feature at 1 is enough, so that with both at 1 gradient and ablation are zero.

    The closed form of integrated gradients needs `sum(x) != sum(baseline)`.
    """

    weights = (1.0, 1.0)

    def __init__(self) -> None:
        first = nn.Linear(2, 1)
        last = nn.Linear(1, 1)
        super().__init__(first, nn.ReLU(), last)
        _freeze_weights(first, [[-1.0, -1.0]], [1.0])
        _freeze_weights(last, [[-1.0]], [1.0])


class Xor(Ridge):
    """`f = |x_0 - x_1|`, on zeros and ones their exclusive or: the sign of one feature's effect depends on the other.

    The closed form of integrated gradients needs a difference that is not the baseline's.
    """

    weights = (1.0, -1.0)

    def __init__(self) -> None:
        first = nn.Linear(2, 2, bias=False)
        last = nn.Linear(2, 1, bias=False)
        super().__init__(first, nn.ReLU(), last)
        _freeze_weights(first, [[1.0, -1.0], [-1.0, 1.0]])
        _freeze_weights(last, [[1.0, 1.0]])


def _freeze_weights(
    layer: nn.Linear,
    weight: list[list[float]],
    bias: list[float] | None = None,
) -> None:
    layer.weight = nn.Parameter(torch.tensor(weight), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(torch.tensor(bias), requires_grad=False)


class OneHead(nn.Module):
    r"""Attention of one query over tokens, and a linear read-out of their weighted mean.

    .. math:: f = w \cdot z,\quad z = \sum_k a_k x_k,\quad a = \mathrm{softmax}(u \cdot x_k)

    Args:
        query: :math:`u`, the direction that attracts attention.
        readout: :math:`w`, the direction that raises the score.
    """

    def __init__(
        self,
        query: Sequence[float] = (2.0, 0.0, 1.0),
        readout: Sequence[float] = (0.0, 1.0, -1.0),
    ) -> None:
        super().__init__()
        width = len(query)
        self.rate = nn.Linear(width, 1, bias=False)
        self.softmax = nn.Softmax(dim=2)
        self.sum = WeightedSum()
        self.head = nn.Linear(width, 1, bias=False)
        _freeze_weights(self.rate, [list(query)])
        _freeze_weights(self.head, [list(readout)])

    def weights(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B 1 N"]:
        """The attention weights `a`."""
        return self.softmax(self.rate(x).transpose(1, 2))

    def forward(self, x: Float[Tensor, "B N D"]) -> Logits:
        return self.head(self.sum(self.weights(x), x))

    def shares(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N"]:
        """The share of each token in the score, `a_k (w x_k)`: they sum to it exactly."""
        values = self.head(x).squeeze(2)
        return self.weights(x).squeeze(1) * values

    def left_out(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N"]:
        r"""Drop of the score without token k, :math:`\frac{a_k}{1 - a_k} w \cdot (x_k - z)`.

        The other tokens then divide its weight among them.
        """
        a = self.weights(x).squeeze(1)
        difference = self.head(x).squeeze(2) - self(x)
        return a / (1 - a) * difference

    def truth(self, x: Float[Tensor, "B N D"]) -> dict[str, Float[Tensor, "B N D"]]:
        """Gradients of the score: through the value of each token, and through its weight."""
        a = self.weights(x).transpose(1, 2)
        difference = self.head(x) - self(x)[:, None]
        through_weight = difference * self.rate.weight
        gradient = a * (self.head.weight + through_weight)
        return {"gradient": gradient, "gradient_times_input": gradient * x}
