"""What a network says without a direction of a layer: whether it uses what can be read there."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from xnb.check import require


def remove_direction(direction: Float[Tensor, " D"]) -> Callable[[Tensor], Tensor]:
    """A change that takes a direction out of features at every place: what is left is at right angles to it.

        with hooks.change_output(net, "stage3", inside.remove_direction(direction)):
            answers = net(x)

    Args:
        direction: one number for each unit of the second axis; its length does not matter.

    Raises:
        ValueError: a direction of zeros.
    """
    length = float(direction.norm())
    require(
        length > 0, "remove_direction: the direction must not be zero", length, "direction = torch.ones_like(direction)"
    )
    unit = direction / direction.norm()

    def remove(output: Tensor) -> Tensor:
        places = [1] * (output.ndim - 2)
        along = unit.to(output).view(1, -1, *places)
        share = (output * along).sum(1, keepdim=True)
        return output - share * along

    return remove
