"""Pictures that a person uploads."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from xnb.widgets.upload import decode_upload


def png(height, width, mode="RGB"):
    shape = (height, width) if mode == "L" else (height, width, 3)
    file = io.BytesIO()
    Image.fromarray(np.full(shape, 255, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_becomes_an_input_of_the_size(channels):
    x = decode_upload(png(30, 70), (8, 12), channels)
    assert x.shape == (1, channels, 8, 12)
    torch.testing.assert_close(x, torch.ones(1, channels, 8, 12))


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (bytes(6_000_000), "a file holds at most 5 MB"),
        (b"no picture", "must be a whole PNG"),
        (png(30, 70)[:60], "must be a whole PNG"),
        (png(6400, 6400, "L"), "at most 40 million pixels"),
    ],
    ids=["large", "no-picture", "damaged", "huge"],
)
def test_what_is_no_picture_is_refused(content, rule):
    with pytest.raises(ValueError, match=rule):
        decode_upload(content, (8, 8), 3)
