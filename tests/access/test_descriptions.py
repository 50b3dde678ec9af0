"""Settings by which what a long run has stored is known again."""

from pathlib import Path

import pytest

from xnb.access.descriptions import require_same_settings

EARLIER = {"model": "a", "knobs": [float("nan")], "seed": 0}


def test_the_same_settings_pass_and_one_more_in_the_file_does_too():
    require_same_settings(EARLIER, {"knobs": [float("nan")], "seed": 0}, Path("t.zarr"), "ask")


def test_what_differs_is_named_with_both_values_and_a_free_path():
    with pytest.raises(
        ValueError, match=r"ask: t.zarr was written with other settings: seed, batch \(there, now\)"
    ) as e:
        require_same_settings(EARLIER, EARLIER | {"seed": 1, "batch": 8}, Path("maps") / "t.zarr", "ask")
    assert "got: {'seed': (0, 1), 'batch': (None, 8)}" in str(e.value)
    assert str(e.value).endswith("try: path='maps/t-2.zarr'")
