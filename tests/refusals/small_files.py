"""Small files on disk that refusals are about; gone when the tests end."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.models import SqueezeNet1_1_Weights, Weights, WeightsEnum, squeezenet1_1

from xnb.models import PUBLISHED
from xnb.storage import sha256


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


def write_medical(**parts: np.ndarray | None) -> Path:
    """A file as MedMNIST has them: four pictures a part; `parts` are other arrays, None leaves one out."""
    arrays: dict[str, np.ndarray | None] = {}
    for part in ("train", "val", "test"):
        arrays[f"{part}_images"] = np.zeros((4, 8, 8), np.uint8)
        arrays[f"{part}_labels"] = np.arange(4, dtype=np.uint8)[:, None] % 2
    file = make_folder() / "small.npz"
    np.savez(file, **{name: array for name, array in {**arrays, **parts}.items() if array is not None})
    return file


def write_bytes(content: bytes) -> Path:
    """A file with these bytes."""
    file = make_folder() / "small"
    file.write_bytes(content)
    return file


def write_lenet() -> Path:
    """Weights of the LeNet that Captum ships, random ones."""
    file = make_folder() / "cifar_torchvision.pt"
    with torch.random.fork_rng():
        torch.save(PUBLISHED["captum-lenet"].make().state_dict(), file)
    return file


def write_squeezenet() -> WeightsEnum:
    """Weights of SqueezeNet 1.1, random ones, whose file lies where `XNB_WEIGHTS` says."""
    draft = make_folder() / "draft.pth"
    with torch.random.fork_rng():
        torch.save(squeezenet1_1().state_dict(), draft)
    file = draft.rename(draft.with_name(f"squeezenet1_1-{sha256(draft)[:8]}.pth"))
    os.environ["XNB_WEIGHTS"] = str(file.parent)
    official = SqueezeNet1_1_Weights.DEFAULT
    return WeightsEnum("Own", {"DEFAULT": Weights(file.as_uri(), official.transforms, official.meta)}).DEFAULT


def write_broken_zip() -> Path:
    """A file of arrays in which one byte of an array is another."""
    file = write_medical()
    content = bytearray(file.read_bytes())
    content[300] ^= 255  # within the pixels of the first array
    file.write_bytes(content)
    return file
