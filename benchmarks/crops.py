"""A thousand crops of photographs, explained through FastNet by four methods: the arguments of each, and what came out.

Each run is a command, as anyone would give it: `python -m xnb attribute benchmarks/crops.py:gradient --workers 2`.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
import zarr
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as T

from xnb import adapters, comparison, data, metrics, models
from xnb.folders import ROOT

SIDE = 224
_PHOTOGRAPH = 300  # pixels a side: larger ones would be enlarged
_PHOTOGRAPHS = 6
_GRID = 14  # maps are compared on so many squares a side: single pixels of gradients agree with nothing
WORKERS = 2
METHODS = ("gradient", "grad_cam", "lrp", "occlusion")


class Crops(Dataset):
    """Squares of the six photographs in turn, each from a half to the whole of their side, as 224 x 224 pixels."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.photographs = data.photos(_PHOTOGRAPH).test.x

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        photograph = position % _PHOTOGRAPHS
        generator = torch.Generator().manual_seed(position)
        draw = partial(torch.randint, size=(), generator=generator)
        side = int(draw(_PHOTOGRAPH // 2, _PHOTOGRAPH + 1))
        top, left = (int(draw(0, _PHOTOGRAPH - side + 1)) for _ in range(2))
        picture = self.photographs[photograph]
        return T.resized_crop(picture, top, left, side, side, [SIDE, SIDE], antialias=True).clamp(0, 1), photograph


def make_study(method: str) -> dict[str, Any]:
    """Return what `xnb.attribute_data` is called with; XNB_CROPS is how many crops, 1,000 if unset."""
    count = int(os.environ.get("XNB_CROPS", 1000))
    net = adapters.normalise(models.FastNet.pretrained(), models.FASTNET.mean, models.FASTNET.std)
    return {"model": net, "data": data.Streamed(Crops(count)), "method": method, "batch": 10, "dtype": "float16"}


gradient: Callable[[], dict] = partial(make_study, "gradient")
grad_cam: Callable[[], dict] = partial(make_study, "grad_cam")
lrp: Callable[[], dict] = partial(make_study, "lrp")
occlusion: Callable[[], dict] = partial(make_study, "occlusion")


def run_commands(folder: Path, count: int) -> None:
    """Run the methods one after the other, each by its command; what is there already is not run again.

    Args:
        folder: of the stores.
        count: of the crops.
    """
    environment = os.environ | {"XNB_CROPS": str(count)}
    for method in METHODS:
        study = f"{Path(__file__).relative_to(ROOT)}:{method}"
        command = ["-m", "xnb", "attribute", study, "--path", str(folder / method), "--workers", str(WORKERS)]
        subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True)


def compare_stores(folder: Path) -> dict[str, list[float]]:
    """Return how alike the methods' maps are: by pair the mean rank correlation and its 95 % interval.

    The interval is over photographs, of which there are six: crops of one photograph are much alike.
    """
    pooled = {method: _pool_maps(folder / method) for method in METHODS}
    found: dict[str, list[float]] = {}
    for one, other in combinations(pooled, 2):
        alike = metrics.rank_correlation(pooled[one], pooled[other])
        means = [float(alike[photograph::_PHOTOGRAPHS].nanmean()) for photograph in range(_PHOTOGRAPHS)]
        estimate = comparison.estimate_mean(means)
        found[f"{one}, {other}"] = [estimate.mean, estimate.low, estimate.high]
    return found


def _pool_maps(store: Path) -> Tensor:
    """Return the sizes of a store's values, summed over channels and averaged over squares, one row a crop."""
    maps = zarr.open_group(store, mode="r")["attribution"]
    rows = []
    for start in range(0, maps.shape[0], 50):
        block = torch.from_numpy(maps[start : start + 50]).float()
        rows.append(adaptive_avg_pool2d(block.sum(1, keepdim=True).abs(), _GRID).flatten(1))
    return torch.cat(rows)


def count_errors(folder: Path) -> int:
    """Return how many inputs have no map."""
    return sum(int((zarr.open_group(folder / method, mode="r")["error"][:] != "").sum()) for method in METHODS)
