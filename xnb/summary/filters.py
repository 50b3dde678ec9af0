"""What the filters of a convolution look like, as numbers."""

import torch
from jaxtyping import Float
from torch import Tensor


def correlate_neighbours(weight: Float[Tensor, "N C h w"]) -> Float[Tensor, "N 2"]:
    r"""Return for each filter how alike its neighbouring weights are, along rows and along columns, in [-1, 1].

    .. math:: r_\rightarrow = \operatorname{corr}(w_{c,i,j},\, w_{c,i,j+1}), \quad
        r_\downarrow = \operatorname{corr}(w_{c,i,j},\, w_{c,i+1,j})

    over all c, i, j of a filter. A constant blob has no correlation (NaN), a stripe along the rows a high first
    number and a low second one. Near 0 it does not say noise: a filter that takes the difference of neighbours, such
    as a Laplacian, is below 0, and one filter of 3 x 3 has so few neighbours that only means of many say something.
    """
    filters = weight.detach().double()
    along_rows = _correlate(filters[..., :-1], filters[..., 1:])
    along_columns = _correlate(filters[..., :-1, :], filters[..., 1:, :])
    return torch.stack([along_rows, along_columns], 1)


def _correlate(first: Tensor, second: Tensor) -> Tensor:
    """Correlation of the values of each filter; NaN where one side is constant."""
    a = first.flatten(1)
    b = second.flatten(1)
    a = a - a.mean(1, keepdim=True)
    b = b - b.mean(1, keepdim=True)
    lengths = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(1) / lengths
