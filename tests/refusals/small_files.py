"""Small files on disk that refusals are about; gone when the tests end."""

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image


def make_folder() -> Path:
    """An empty folder."""
    folder = Path(tempfile.mkdtemp(prefix="xnb-refusals-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_pictures(sides: dict[str, int], grey: int = 1) -> Path:
    """A folder with square pictures of one grey level: side in pixels by name."""
    folder = make_folder()
    for name, side in sides.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (side, side), grey).save(folder / name)
    return folder


def write_medical() -> Path:
    """A file as MedMNIST has them: four pictures a part."""
    file = make_folder() / "small.npz"
    parts = {}
    for part in ("train", "val", "test"):
        parts[f"{part}_images"] = np.zeros((4, 8, 8), np.uint8)
        parts[f"{part}_labels"] = np.arange(4, dtype=np.uint8)[:, None] % 2
    np.savez(file, **parts)
    return file
