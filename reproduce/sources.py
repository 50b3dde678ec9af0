"""Files that others published: taken from a folder, else from the cache, else brought and checked by their SHA-256."""

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xnb.check import find_entry, require
from xnb.data.archives import read_entries, unpickle_batch
from xnb.data.cifar import CIFAR10_MD5, CIFAR10_URL
from xnb.data.download import download_file
from xnb.folders import cache_folder
from xnb.models import PUBLISHED
from xnb.models.published_files import Source, find_checked_file, list_places

FOLDER = Path(__file__).parent
_EXACT = 1017  # test pictures of CIFAR-10 whose exact pixels a cut copy still has: the first ones
_PICTURES = "cifar10/cifar10_exact_test1017.npz"


class LabelledPictures(NamedTuple):
    """Pictures `(n, C, H, W)` with their classes."""

    x: Tensor
    y: Tensor


@cache
def read_sources() -> dict[str, Source]:
    """Return every published file that a table needs, by its path below the folder of published files."""
    table = tomllib.loads((FOLDER / "sources.toml").read_text())
    sources = {name: Source(**entry) for name, entry in table.items()}
    return sources | {published.file: published.source for published in PUBLISHED.values()}


def is_at_hand(names: list[str]) -> bool:
    """Whether all these files lie on disk already."""
    return all(any(place.is_file() for place in list_places(name)) for name in names)


def find_file(name: str) -> Path:
    """Return the published file on disk, and bring it first where it is not there.

    Raises:
        ConnectionError: the download broke off; the same call goes on from there.
        ValueError: no file of that name is known, it is another one than was published, or it has no download.
    """
    source = find_entry(read_sources(), name, "reproduce: no published file of that name")
    places = list_places(name)
    path = find_checked_file(places, source.sha256)
    if path is not None:
        return path
    hint = f"XNB_PUBLISHED=path/to/folder make reproduce  # with {name} in it, from {source.origin}"
    require(bool(source.url), "reproduce: this file has no download of its own", name, hint)
    return download_file(source.url, source.sha256, places[-1])


def read_exact_pictures(count: int = _EXACT) -> LabelledPictures:
    """Return the first test pictures of CIFAR-10 in [0, 1], pixel by pixel as they were published.

    Copies in JPEG cost networks that were trained on the originals 8 to 11 points of accuracy. Where the small file is
    not at hand the original archive is brought, 170 MB.
    """
    if is_at_hand([_PICTURES]):
        with np.load(find_file(_PICTURES)) as file:
            pixels, labels = file["x_test"], file["y_test"].tolist()
    else:
        pixels, labels = _read_original_batch()
    pictures = torch.from_numpy(pixels[:count].copy())
    channels_first = pictures.permute(0, 3, 1, 2).contiguous()
    x = channels_first.float() / 255
    return LabelledPictures(x, torch.tensor(labels[:count]))


def _read_original_batch() -> tuple[np.ndarray, list[int]]:
    """The first test pictures of the original archive."""
    archive = download_file(CIFAR10_URL, CIFAR10_MD5, cache_folder() / "cifar-10-python.tar.gz")
    for path, content in read_entries(archive):
        if path.name == "test_batch":
            pixels, labels = unpickle_batch(content)
            return pixels[:_EXACT], labels[:_EXACT]
    hint = "remove cifar-10-python.tar.gz from the cache, and the same call again"
    require(False, "reproduce: the archive of CIFAR-10 must hold a test_batch", archive.name, hint)
    return np.empty(0), []
