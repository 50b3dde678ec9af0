"""Masks mark the same pixels whatever their kind, and are cut as their photographs."""

import numpy as np
import pytest
import torch
from PIL import Image

from xnb import data, folders

REAL = folders.ROOT.parent / "shared" / "data" / "masks"
SIDES = (30, 40)  # height, width


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (*SIDES, 3), dtype=np.uint8)).save(tmp_path / "dog.png")
    numbers = np.zeros(SIDES, dtype=np.uint8)
    numbers[10:20, 15:25], numbers[:, :5] = 3, 7
    Image.fromarray(numbers).save(tmp_path / "grey.png")
    palette = Image.fromarray(numbers, "L").convert("P")
    palette.putdata(numbers.ravel().tolist())
    palette.save(tmp_path / "palette.png")
    coloured = np.zeros((*SIDES, 3), dtype=np.uint8)
    coloured[10:20, 15:25] = (3, 2, 1)
    Image.fromarray(coloured).save(tmp_path / "panoptic.png")
    return tmp_path


@pytest.mark.parametrize(
    ("mask", "value"), [("grey.png", 3), ("palette.png", 3), ("panoptic.png", 3 + 256 * 2 + 65536)]
)
def test_every_kind_of_mask(folder, mask, value):
    split = data.masked_photos(folder, {"dog": ("dog.png", mask, {value})}, size=30)
    assert split.classes == ("dog",)
    assert len(split.train) == 0
    assert split.test.x.shape == (1, 3, 30, 30)
    inside = torch.zeros(30, 30, dtype=torch.bool)
    inside[10:20, 10:20] = True  # five columns are cut off on each side
    assert torch.equal(split.test.masks[0, 0], inside)
    picture = torch.from_numpy(np.array(Image.open(folder / "dog.png"))[:, 5:35]).permute(2, 0, 1) / 255
    assert torch.equal(split.test.x[0], picture)


def test_several_values_and_another_size(folder):
    part = data.masked_photos(str(folder), {"dog": ("dog.png", "grey.png", {3, 7})}, size=60).test
    share = part.masks.float().mean()
    assert share == pytest.approx(100 / 900, abs=1e-3)  # of the border of 7s all columns are cut off
    assert part.x.shape[-1] == 60


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "must have rows"),
        ({"dog": ("cat.png", "grey.png", {3})}, r"no such file\n  got: 'cat.png'"),
        (
            {"dog": ("dog.png", "grey.png", {4})},
            r"grey.png must have one of the values, .*\n  got: \[4\]\n  try: one of \[\[3\]",
        ),
        ({"dog": ("dog.png", "grey.png", {7})}, "must have one of the values"),
        ({"dog": ("dog.png", "small.png", {0})}, r"must have the size of its picture, \(40, 30\)"),
        ({"dog": ("dog.png", "broken.png", {3})}, "broken.png must be a picture"),
        ({"dog": ("broken.png", "grey.png", {3})}, "broken.png must be a picture"),
    ],
)
def test_refusals(folder, table, says):
    Image.new("L", (5, 5)).save(folder / "small.png")
    (folder / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=says):
        data.masked_photos(folder, table, size=30)


def test_size_is_positive(folder):
    with pytest.raises(ValueError, match="at least 1 pixel"):
        data.masked_photos(folder, {"dog": ("dog.png", "grey.png", {3})}, size=0)


def test_real_photographs():
    if not REAL.is_dir():
        pytest.skip("needs the photographs with masks in ../shared/data/masks")
    table = {
        "bird": ("coral_bird_segmentation.png", "coral_bird_segmentation_mask.png", {3}),
        "dog": ("coral_dog_segmentation.png", "coral_dog_segmentation_mask.png", {0}),
        "bus": ("labelme_JPEGImages_2011_000025.jpg", "labelme_SegmentationClass_2011_000025.png", {6}),
        "horse": ("coco_000000439180.jpg", "coco_000000439180.panoptic.png", {16758454, 15444403, 16761532}),
    }
    split = data.masked_photos(REAL, table)
    assert split.test.x.shape == (4, 3, 256, 256)
    share = split.test.masks.float().mean((1, 2, 3))
    assert ((share > 0.01) & (share < 0.8)).all()
