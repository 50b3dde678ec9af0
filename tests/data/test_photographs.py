"""Photographs that come with other packages: framed alike, named, and none to train on."""

import pytest

from xnb import data


def test_photos():
    split = data.photos(128)
    assert split.classes == ("astronaut", "cat", "coffee", "rocket", "palace", "flower")
    assert split.test.x.shape == (6, 3, 128, 128)
    assert len(split.train) == 0
    assert split.test.x.min() >= 0
    assert split.test.x.max() <= 1
    assert (split.test.x.std((2, 3)) > 0.05).all()


def test_photos_of_no_size():
    with pytest.raises(ValueError, match="photos: size must be at least 1 pixel"):
        data.photos(0)
