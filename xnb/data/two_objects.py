"""Pictures of two objects of different classes: a map for one class is to lie on that class's object.

The usual grid of whole pictures asks a network for another size of picture, or shows it objects of a quarter of their
area. Here an object stays as large and where it was.
"""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from xnb.check import require
from xnb.data.split import Part


@dataclass(frozen=True)
class Pairs:
    """Pictures of two objects each; row k of `y`, `masks` and `sources` belongs to the k-th object.

    Attributes:
        x: the pictures.
        y: the classes of the two objects.
        masks: where they are.
        sources: numbers of the pictures that they were taken from; the background is that of the first.
    """

    x: Float[Tensor, "B C H W"]
    y: Int[Tensor, "2 B"]
    masks: Bool[Tensor, "2 B 1 H W"]
    sources: Int[Tensor, "2 B"]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Tensor | slice) -> "Pairs":
        return Pairs(
            x=self.x[rows],
            y=self.y[:, rows],
            masks=self.masks[:, rows],
            sources=self.sources[:, rows],
        )

    def pick_disjoint(self, count: int) -> "Pairs":
        """The first pairs of which no two share a picture, at most `count`: they are as good as independent."""
        used: set[int] = set()
        rows: list[int] = []
        for row, pair in enumerate(self.sources.T.tolist()):
            if used.isdisjoint(pair) and len(rows) < count:
                used.update(pair)
                rows.append(row)
        return self[torch.tensor(rows, dtype=torch.long)]


def paste_objects(part: Part, *, apart: int = 8) -> Pairs:
    """Every picture with the object of every other one pasted on it, where classes differ and objects are far apart.

    Args:
        part: pictures with masks; the object must be all that tells the class.
        apart: distance in pixels between the nearest pixels of the two objects, of rows or of columns, whichever is
            larger. A square window of this side holds pixels of one object at most: take the side of what a unit of
            the network sees.

    Raises:
        ValueError: pictures without masks, or `apart` below 1.
    """
    require(
        part.masks is not None, "paste_objects: the pictures need masks", part.masks, "part = xnb.data.shapes().test"
    )
    require(apart >= 1, "paste_objects: apart must be at least 1 pixel", apart, "apart=8")
    masks = cast(Tensor, part.masks)
    inside = masks.float()
    margin = apart - 1
    # An object widened by the margin must not meet the other one.
    around = F.max_pool2d(inside, 2 * margin + 1, stride=1, padding=margin)
    overlap = around.flatten(1) @ inside.flatten(1).T
    is_apart = overlap == 0
    differ = part.y[:, None] != part.y
    first, second = (is_apart & differ).nonzero().T
    x = torch.where(masks[second], part.x[second], part.x[first])
    sources = torch.stack([first, second])
    return Pairs(x, part.y[sources], masks[sources], sources)


def join_halves(part: Part, *, seed: int = 0) -> Pairs:
    """The middle halves of two pictures of different classes side by side, for photographs, that have no masks.

    Each picture is used at most once; the mask of an object is its half.

    Args:
        seed: of who meets whom.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(part.x), generator=generator)
    half = len(order) // 2
    sources = torch.stack([order[:half], order[-half:]])
    classes = part.y[sources]
    sources = sources[:, classes[0] != classes[1]]
    W = part.x.shape[3]
    begin = W // 4
    middle = part.x[..., begin : begin + W // 2]
    first, second = sources
    x = torch.cat([middle[first], middle[second]], 3)
    left = torch.zeros(len(x), 1, *x.shape[2:], dtype=torch.bool)
    left[..., : W // 2] = True
    masks = torch.stack([left, ~left])
    return Pairs(x, part.y[sources], masks, sources)
