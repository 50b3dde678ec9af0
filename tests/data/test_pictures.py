"""A picture is decoded to the RGB that it shows, or refused; and class folders, where they hold other things."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from xnb import data
from xnb.data.pictures import decode_rgb


def stored(image, kind="PNG", **knobs):
    out = io.BytesIO()
    image.save(out, kind, **knobs)
    return io.BytesIO(out.getvalue())


@pytest.mark.parametrize(
    ("pixels", "kind", "mode"),
    [(np.uint16(30000), "PNG", "I;16"), (np.int32(70000), "TIFF", "I"), (np.float32(0.4), "TIFF", "F")],
)
def test_deep_pictures_are_refused_not_cut_off(pixels, kind, mode):
    """PIL would make 255, 255 and 0 of these."""
    with pytest.raises(ValueError, match=rf"^me: a must have 8 bits a channel\n  got: '{mode}'\n  try: scale"):
        decode_rgb(stored(Image.fromarray(np.full((4, 4), pixels)), kind), "me: a")


def test_half_transparent_palette():
    image = Image.new("P", (2, 1), 0)
    image.putpalette([200, 0, 0, 0, 100, 0])
    image.putpixel((1, 0), 1)
    decoded = decode_rgb(stored(image, transparency=0), "a")
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 100, 0)]


def test_a_picture_too_large_to_be_one(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    with pytest.raises(ValueError, match=r"a must be a picture\n  got: 'DecompressionBombError"):
        decode_rgb(stored(Image.new("RGB", (4, 4))), "a")


def test_the_turn_noted_by_a_camera_is_not_applied():
    image = Image.new("RGB", (4, 2))
    exif = image.getexif()
    exif[274] = 6  # orientation: turned by 90 degrees
    assert decode_rgb(stored(image, exif=exif), "a").size == (4, 2)


@pytest.fixture
def root(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "cat").mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / part / "cat" / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("name", ["loose.png", "readme.txt"])
def test_files_beside_the_classes_are_refused(name, root):
    Image.new("RGB", (8, 8)).save(root / "train" / name, "PNG")
    with pytest.raises(ValueError, match=rf"train/ must hold class folders only\n  got: \['{name}'\]"):
        data.image_folder(root)


def test_folders_in_classes_are_refused(root):
    (root / "train" / "cat" / "more").mkdir()
    with pytest.raises(ValueError, match=r"train/cat/more must be a picture\n  got: .IsADirectoryError"):
        data.image_folder(root)


def test_folders_beside_the_parts_are_left_out(root):
    (root / "val" / "dog").mkdir(parents=True)
    assert data.image_folder(root).classes == ("cat",)


@pytest.mark.parametrize("knobs", [{"size": 0}, {"size": -3}, {"per_class": 0}, {"per_class": -1}])
def test_knobs_out_of_range(knobs, root):
    """-1 would silently leave out the last picture of each class."""
    (name,) = knobs
    with pytest.raises(ValueError, match=f"image_folder: {name} must be at least 1"):
        data.image_folder(root, **knobs)


def test_more_than_there_is_takes_all(root):
    assert torch.equal(data.image_folder(root, per_class=99).train.x, data.image_folder(root).train.x)
