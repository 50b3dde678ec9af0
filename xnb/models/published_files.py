"""Files that others published: where they may lie, and whether they are what was published."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from xnb.check import refuse, require
from xnb.data.download import download_file
from xnb.folders import cache_folder
from xnb.storage import sha256


class Source(NamedTuple):
    """A published file: where it comes from, under which licence, and what it must be."""

    sha256: str
    licence: str
    origin: str  # repository, commit and path
    url: str  # "" where no download gives this very file


def list_places(file: str) -> list[Path]:
    """Return where a published file may lie: below the folder that `XNB_PUBLISHED` names, and below the cache."""
    own = os.environ.get("XNB_PUBLISHED")
    folders = [Path(own)] if own else []
    folders.append(cache_folder() / "published")
    return [folder / file for folder in folders]


def find_checked_file(places: Sequence[Path], checksum: str) -> Path | None:
    """Return the first place at which there is a file; None where there is none.

    Args:
        checksum: SHA-256 sum of the file in hexadecimal digits, or how it begins.

    Raises:
        ValueError: the file is another one than was published.
    """
    for place in places:
        if place.is_file():
            came = sha256(place)
            rule = f"published: the SHA-256 sum of {place.name} must begin with {checksum}"
            hint = f"remove {place.name} from {place.parent.name}/, and the same call again"
            require(came.startswith(checksum), rule, came, hint)
            return place
    return None


def find_or_download(places: Sequence[Path], source: Source) -> Path:
    """Return the first place at which the file lies, checked, or download it to the last of them.

    Raises:
        ConnectionError: it lies nowhere, and no connection is to be had.
        ValueError: the file is another one than was published.
    """
    path = find_checked_file(places, source.sha256)
    if path is not None:
        return path
    last = places[-1]
    try:
        return download_file(source.url, source.sha256, last)
    except ConnectionError:
        folders = [str(place.parent) for place in places]
        rule = f"published: {last.name} is in no folder that was asked, and {source.url} cannot be reached"
        hint = f"the same call again with a connection, or with folder=... of {last.name}, from {source.origin}"
        refuse(rule, folders, hint, error=ConnectionError)


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint of torch; nothing in the file is run.

    Many keep their weights under `state_dict`, beside settings that are of no use here.
    """
    content = io.BytesIO(path.read_bytes())
    loaded = torch.load(content, map_location="cpu", weights_only=True)
    return loaded.get("state_dict", loaded)
