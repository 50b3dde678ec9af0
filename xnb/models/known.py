"""Networks whose mechanism is known, with the attributions that follow from it in closed form.

`model.truth(x, baseline)` maps names of methods to what they must answer for the one logit `(B, 1)`. An explanation
or a metric that is wrong here is wrong. The weights are fixed and not trained.
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

    def __init__(self, weights: Sequence[float] = (1.0, -2.0, 0.5), curves: Sequence[float] = (0.0, 1.0, -1.0)) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights), requires_grad=False)
        self.curves = nn.Parameter(torch.tensor(curves), requires_grad=False)

    def each(self, x: Rows) -> Rows:
        """What each feature adds."""
        return self.weights * x + self.curves * x.square()

    def forward(self, x: Rows) -> Logits:
        return self.each(x).sum(1, keepdim=True)

    def truth(self, x: Rows, baseline: Rows) -> Truth:
        share = self.each(x) - self.each(baseline)
        slope = self.weights + 2 * self.curves * x
        complete = dict.fromkeys(("integrated_gradients", "exact_shapley", "feature_ablation"), share)
        return complete | {"gradient": slope, "gradient_times_input": slope * x}


class Gate(nn.Module):
    """The first feature opens the way for the second, `f = x_0 x_1`.

    Complete methods share the product out, ablation gives all of it to both.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times = Times()

    def forward(self, x: Float[Tensor, "B 2"]) -> Logits:
        return self.times(x[:, :1], x[:, 1:])

    def truth(self, x: Float[Tensor, "B 2"], baseline: Float[Tensor, "B 2"]) -> Truth:
        other, before = x.flip(1), baseline.flip(1)
        share = (x - baseline) * (other + before) / 2
        ablated = (x - baseline) * other
        shared = {"integrated_gradients": share, "exact_shapley": share, "feature_ablation": ablated}
        return shared | {"gradient": other, "gradient_times_input": x * other}


class Ridge(nn.Sequential):
    """One function of one weighted sum, as a network with a hidden layer; kinds of it say which."""

    weights: tuple[float, float]

    def curve(self, s: Tensor) -> Tensor:
        """The score as a function of the weighted sum."""
        return super().forward(s[..., None] * self.direction / self.direction.square().sum()).squeeze(-1)

    @property
    def direction(self) -> Float[Tensor, "2"]:
        first = self[0].weight
        return first.new_tensor(self.weights)

    def truth(self, x: Float[Tensor, "B 2"], baseline: Float[Tensor, "B 2"]) -> Truth:
        x_sums, b_sums = x * self.direction, baseline * self.direction
        end, start = x_sums.sum(1, keepdim=True), b_sums.sum(1, keepdim=True)
        only, without = start + x_sums - b_sums, end - x_sums + b_sums
        f, nothing, alone, ablated = (self.curve(s) for s in (end, start, only, without))
        mean_slope = (f - nothing) / (end - start)
        return {
            "integrated_gradients": (x_sums - b_sums) * mean_slope,
            "exact_shapley": (alone - nothing + f - ablated) / 2,
            "feature_ablation": f - ablated,
        }


class Saturation(Ridge):
    """`f = min(x_0 + x_1, 1)`: one feature is enough, so that with both there, slope and ablation say that neither is.

    The closed form of integrated gradients needs `sum(x) != sum(baseline)`.
    """

    weights = (1.0, 1.0)

    def __init__(self) -> None:
        first, last = nn.Linear(2, 1), nn.Linear(1, 1)
        super().__init__(first, nn.ReLU(), last)
        _fix(first, [[-1.0, -1.0]], [1.0])
        _fix(last, [[-1.0]], [1.0])


class Xor(Ridge):
    """`f = |x_0 - x_1|`, on zeros and ones their exclusive or: what a feature says turns with the other.

    The closed form of integrated gradients needs a difference that is not the baseline's.
    """

    weights = (1.0, -1.0)

    def __init__(self) -> None:
        first, last = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
        super().__init__(first, nn.ReLU(), last)
        _fix(first, [[1.0, -1.0], [-1.0, 1.0]])
        _fix(last, [[1.0, 1.0]])


def _fix(layer: nn.Linear, weight: list[list[float]], bias: list[float] | None = None) -> None:
    layer.weight = nn.Parameter(torch.tensor(weight), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(torch.tensor(bias), requires_grad=False)


class OneHead(nn.Module):
    r"""Attention of one query over tokens, and a linear read-out of their weighted mean.

    .. math:: f = w \cdot z,\quad z = \sum_k a_k x_k,\quad a = \mathrm{softmax}(u \cdot x_k)

    Args:
        query: :math:`u`, what the query looks for.
        readout: :math:`w`, what the read-out asks for.
    """

    def __init__(self, query: Sequence[float] = (2.0, 0.0, 1.0), readout: Sequence[float] = (0.0, 1.0, -1.0)) -> None:
        super().__init__()
        width = len(query)
        self.rate, self.softmax, self.sum = nn.Linear(width, 1, bias=False), nn.Softmax(dim=2), WeightedSum()
        self.head = nn.Linear(width, 1, bias=False)
        _fix(self.rate, [list(query)])
        _fix(self.head, [list(readout)])

    def weights(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B 1 N"]:
        return self.softmax(self.rate(x).transpose(1, 2))

    def forward(self, x: Float[Tensor, "B N D"]) -> Logits:
        return self.head(self.sum(self.weights(x), x))

    def shares(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N"]:
        """`a_k (w x_k)`: they sum to the score exactly."""
        return self.weights(x).squeeze(1) * self.head(x).squeeze(2)

    def left_out(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N"]:
        r"""Drop of the score when token k is not there, :math:`\frac{a_k}{1 - a_k} w \cdot (x_k - z)`.

        The others share its weight among them.
        """
        a = self.weights(x).squeeze(1)
        return a / (1 - a) * (self.head(x).squeeze(2) - self(x))

    def truth(self, x: Float[Tensor, "B N D"]) -> dict[str, Float[Tensor, "B N D"]]:
        a, told = self.weights(x).transpose(1, 2), self.head(x) - self(x)[:, None]
        slope = a * (self.head.weight + told * self.rate.weight)
        return {"gradient": slope, "gradient_times_input": slope * x}
