"""Breast ultrasound pictures with outlined lesions: a part of BUSI (Al-Dhabyani et al. 2020), from a file on disk."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional as F

from xnb.data.medical import load_arrays
from xnb.data.split import Part

# Pictures with crosses of callipers, looked for by one person who knew what the crosses would be used for.
CROSSED = (54, 55, 58, 60, 63, 71, 100, 108, 110, 112, 113)
_BRIGHT = 0.7
_ABOVE_SURROUNDINGS = 0.3
_STROKE = 5  # side in pixels of the window of the opening: thinner strokes do not survive it


def read_ultrasound(file: str | Path) -> Part:
    """Return grey pictures `(N, 1, 128, 128)` in [0, 1], normal (0) or with a lesion (1), and the outlined lesions.

    data/README.md says where the file comes from, and how it is made of the published folders.

    Args:
        file: `busi_mini_128.npz` with `images`, `masks` and `labels`: normal, benign, malignant.

    Raises:
        ValueError: the file lacks one of these, or is damaged.
    """
    arrays = load_arrays(Path(file), ["images", "masks", "labels"])
    masks = np.unpackbits(arrays["masks"], axis=-1)
    grey = torch.from_numpy(arrays["images"])
    x = grey[:, None].float() / 255
    y = torch.from_numpy(arrays["labels"] > 0).long()
    return Part(x, y, masks=torch.from_numpy(masks[:, None]).bool())


def group_lesions(x: Float[Tensor, "N 1 H W"], correlation: float = 0.9) -> Int[np.ndarray, " N"]:
    """Return the number of the group that each picture belongs to: pictures of one lesion, taken again and again.

    Pictures that correlate above `correlation`, directly or by others between them, are one group.
    """
    alike = np.corrcoef(x.flatten(1).numpy()) > correlation
    return connected_components(alike)[1]


def find_lesion_cells(masks: Bool[Tensor, "N 1 H W"], side: int = 16) -> Bool[Tensor, "N cells"]:
    """Return which squares of the pictures show the lesion: a quarter of them is covered, or more than of any other."""
    covered = F.avg_pool2d(masks.float(), side).flatten(1)
    most = covered == covered.amax(1, keepdim=True)
    return (covered > 0.25) | (most & (covered > 0))


def erase_strokes(x: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N 1 H W"]:
    """Return pictures in which strokes that are bright and at most four pixels thick are as dark as what is around.

    Crosses of callipers and letters go, and so does any thin bright line of the tissue: compare with pictures that
    have no cross.
    """
    pad = _STROKE // 2
    eroded = -F.max_pool2d(-x, _STROKE, 1, pad)
    opened = F.max_pool2d(eroded, _STROKE, 1, pad)
    is_stroke = (x > _BRIGHT) & (x - opened > _ABOVE_SURROUNDINGS)
    return torch.where(is_stroke, opened, x)
