"""Ultrasound pictures: a made-up file, and where it is at hand the real one with the numbers that are stored of it."""

import numpy as np
import pytest
import torch

import xnb
from xnb import folders
from xnb.data import ultrasound
from xnb.data.ultrasound import erase_strokes, find_lesion_cells, group_lesions, read_ultrasound
from xnb.metrics.attention_tests import pairwise_auc
from xnb.plot.figures import read_figure

REAL = folders.ROOT.parent / "shared" / "data" / "medical" / "busi_mini_128.npz"
STORED = folders.ROOT / "figures" / "paper" / "fig-18-1.json"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data/medical/busi_mini_128.npz")


def test_a_file_is_read_as_pictures_classes_and_masks(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 128, 128), dtype=np.uint8)
    masks = rng.random((3, 128, 128)) < 0.5
    packed = {"images": images, "masks": np.packbits(masks, axis=-1), "labels": np.uint8([0, 1, 2])}
    np.savez_compressed(tmp_path / "some.npz", **packed)
    part = read_ultrasound(tmp_path / "some.npz")
    assert part.y.tolist() == [0, 1, 1]
    assert torch.equal(part.x[:, 0] * 255, torch.from_numpy(images).float())
    assert torch.equal(part.masks[:, 0], torch.from_numpy(masks))
    np.savez_compressed(tmp_path / "less.npz", images=images)
    with pytest.raises(ValueError, match="must hold images, masks, labels"):
        read_ultrasound(tmp_path / "less.npz")


def test_pictures_taken_again_are_one_group():
    x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    x[2] = 0.9 * x[0] + 0.01
    assert group_lesions(x).tolist() == [0, 1, 0, 2]


def test_cells_of_a_lesion():
    masks = torch.zeros(3, 1, 32, 32, dtype=torch.bool)
    masks[0, 0, :16, :24] = True  # one cell whole, one half
    masks[1, 0, 20, 20] = True  # a single pixel: the cell that has it
    assert find_lesion_cells(masks).tolist() == [[True, True, False, False], [False, False, False, True], [False] * 4]


def test_thin_bright_strokes_are_erased_and_blobs_stay():
    x = torch.full((1, 1, 32, 32), 0.2)
    x[0, 0, 5:27, 10] = 1.0  # a stroke of one pixel
    x[0, 0, 8:18, 18:28] = 1.0  # a blob of ten
    y = erase_strokes(x)
    assert y[0, 0, 5:27, 10].max() == pytest.approx(0.2)
    assert (y[0, 0, 8:18, 18:28] == 1).all()


@needs_real
def test_the_real_file():
    part = read_ultrasound(REAL)
    assert part.y.bincount().tolist() == [50, 99]
    assert part.masks.flatten(1).any(1).tolist() == (part.y == 1).tolist()
    assert (part.y[list(ultrasound.CROSSED)] == 1).all()
    assert len(set(group_lesions(part.x))) < 149


@needs_real
@pytest.mark.skipif(not STORED.exists(), reason="needs figures/paper/fig-18-1.json")
@pytest.mark.parametrize("control", ["centre", "baseline_distance"])
def test_stored_numbers_of_controls_are_found_again(control):
    """Controls need no network: what stands in the stored figure is worked out from the pictures."""
    part = read_ultrasound(REAL)
    lesions = part[part.y == 1]
    maps = xnb.attribute(None, lesions.x, lesions.y, control).sum(1, keepdim=True)
    values = torch.nn.functional.avg_pool2d(maps, 16).flatten(1)
    cells = find_lesion_cells(lesions.masks)
    areas = pairwise_auc(values, cells.float() * 2 - 1)
    stored = np.array(read_figure(STORED)["data"][control])
    groups = group_lesions(lesions.x)
    ours = [float(areas[torch.from_numpy(groups == group)].mean()) for group in np.unique(groups)]
    np.testing.assert_allclose(stored[0], ours, atol=1e-4)
