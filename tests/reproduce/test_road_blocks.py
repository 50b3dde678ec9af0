"""T1 in small: correlations whose answer is known, averages of noisy maps, blocks that are taken up again.

Tests: reproduce.t1_blocks, reproduce.t1_road
"""

import numpy as np
import pytest
import torch
from small_road import draw_pictures, make_small

from reproduce import t1_blocks, t1_road
from reproduce.t1_blocks import MAPS, PROTOCOLS, Block

PAIR = t1_road.PAIRS.index


def answers(accuracy):
    """Pictures `(100, protocols, maps, tenths)` of which this share is right."""
    return np.arange(100)[:, None, None, None] < 100 * np.asarray(accuracy)


def table(order):
    """Accuracies by protocol whose maps stand in this order at every share."""
    heights = np.linspace(0.2, 0.9, len(MAPS))
    return np.stack([np.repeat(heights[::sign][:, None], 9, 1) for sign in order])


def test_protocols_that_agree_have_minus_one_across_orders():
    correlations = t1_road.correlate_protocols(answers(table((1, 1, -1, -1))))
    assert correlations[PAIR(("m-non-lin", "m-non-fix"))] == pytest.approx(1)
    assert correlations[PAIR(("m-non-lin", "l-non-lin"))] == pytest.approx(-1)
    assert correlations[PAIR(("l-non-lin", "l-non-fix"))] == pytest.approx(1)


def test_shares_are_removed_in_one_order_and_kept_in_the_other():
    tenths = np.broadcast_to(np.arange(1, 10) / 10, (4, 8, 9))
    shares = t1_road.select_shares(tenths)
    np.testing.assert_allclose(shares[0, 0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(shares[2, 0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.1])


def test_a_share_at_which_all_maps_are_equal_is_left_out():
    accuracies = table((1, 1, 1, 1))
    accuracies[:, :, 0] = 0.5
    accuracies[:, :, 8] = 0.5
    assert t1_road.correlate_protocols(answers(accuracies)) == pytest.approx(1)


def test_pseudo_values_of_equal_groups_are_the_correlation():
    right = np.repeat(answers(table((1, -1, 1, 1)))[::10], 10, axis=0)
    np.testing.assert_allclose(
        t1_road.find_pseudo_values(right), t1_road.correlate_protocols(right)[None].repeat(10, 0)
    )


def test_the_gap_is_below_zero_where_linear_values_agree_more():
    right = answers(table((1, 1, -1, 1)))
    blocks = {name: Block(np.ones(100, bool), right) for name in ("a", "b", "c")}
    gap = t1_road.estimate_gap(blocks)
    assert gap.mean == pytest.approx(-2)
    assert t1_road.estimate_pairs(blocks)["m-non-lin, l-non-lin"].value == pytest.approx(-1)
    curves = t1_road.average_accuracies(blocks)
    assert curves["m-non-lin"]["IG"] == pytest.approx([20] * 9)


def test_averages_of_noisy_maps():
    maps = torch.tensor([[[1.0]], [[3.0]]])
    averages = t1_blocks.average_maps(maps)
    assert [averages[kind].item() for kind in ("SG", "SQ", "Var")] == [2, 5, 1]


def test_noise_belongs_to_a_picture_and_not_to_its_block():
    x = torch.zeros(3, 3, 4, 4)
    whole = t1_blocks.draw_noise(range(5, 8), x, "IG")
    torch.testing.assert_close(t1_blocks.draw_noise(range(6, 7), x[:1], "IG"), whole[:, 1:2])
    assert whole.std().item() == pytest.approx(0.1, rel=0.2)


@pytest.fixture
def quick(monkeypatch, tmp_path):
    return make_small(monkeypatch, tmp_path)


def test_blocks_go_on_where_they_were_stopped(quick):
    pictures = draw_pictures(4)
    assert list(t1_blocks.run_blocks(pictures, minutes=0)) == []
    named = list(t1_blocks.run_blocks(pictures._replace(x=pictures.x[:2], y=pictures.y[:2]), 9))
    assert named == ["ResNet-20, pictures 0 to 1", "ResNet, pictures 0 to 1"]
    first = t1_blocks.read_blocks(4)
    assert len(first["ResNet"].untouched) == 2
    assert first["ResNet"].right.shape == (2, len(PROTOCOLS), len(MAPS), 9)
    named = list(t1_blocks.run_blocks(pictures, 9))
    assert named == ["ResNet-20, pictures 2 to 3", "ResNet, pictures 2 to 3"]
    np.testing.assert_array_equal(t1_blocks.read_blocks(4)["ResNet"].right[:2], first["ResNet"].right)


def test_answers_are_stored_a_bit_each_and_laid_out_again(quick, monkeypatch, tmp_path):
    list(t1_blocks.run_blocks(draw_pictures(2), 9))
    blocks = t1_blocks.read_blocks(2)
    stored = t1_blocks.pack_blocks(blocks)
    for name, block in t1_blocks.unpack_blocks(stored).items():
        np.testing.assert_array_equal(block.right, blocks[name].right)
        np.testing.assert_array_equal(block.untouched, blocks[name].untouched)
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "empty"))
    t1_blocks.lay_out_blocks(stored | {"code": "other"})
    assert not t1_blocks.block_folder().exists()
    t1_blocks.lay_out_blocks(stored)
    np.testing.assert_array_equal(t1_blocks.read_blocks(2)["ResNet"].right, blocks["ResNet"].right)
