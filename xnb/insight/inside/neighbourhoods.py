"""What a map of points in the plane keeps of the space that it was made from."""

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.check import require


def measure_preservation(
    space: Float[Tensor, "N D"], plane: Float[Tensor, "N E"], *, neighbours: int = 10
) -> Float[Tensor, " N"]:
    """Share of each point's nearest neighbours in the space that are among its nearest in the plane, in [0, 1].

    Points thrown at random keep `neighbours / (N - 1)`. It looks at near points alone: that clusters lie far apart in
    the plane says nothing of how far apart they are.

    Raises:
        ValueError: another number of points, or as many neighbours as there are points.
    """
    same = len(space) == len(plane)
    require(same, "measure_preservation: both must have the same points", len(plane), "plane = space[:, :2]")
    fits = 1 <= neighbours < len(space)
    require(fits, "measure_preservation: fewer neighbours than points", neighbours, "neighbours=10")
    in_space, in_plane = (_list_nearest(points.double(), neighbours) for points in (space, plane))
    same_point = in_space[:, :, None] == in_plane[:, None, :]
    return same_point.any(2).to(space.dtype).mean(1)


def _list_nearest(points: Float[Tensor, "N D"], neighbours: int) -> Tensor:
    """Numbers of the nearest others of each point."""
    distance = torch.cdist(points, points)
    distance.fill_diagonal_(torch.inf)
    return distance.topk(neighbours, largest=False).indices
