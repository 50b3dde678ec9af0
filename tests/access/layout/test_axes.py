"""Axes as products of factors: what `view`, `cat`, slices and rolls leave known of them."""

import pytest

from xnb.access.layout.axes import (
    ASTRAY,
    CHANNEL,
    PLACE,
    axis_size,
    join_axes,
    kind_of,
    lead_astray,
    make_axis,
    mark_axis,
    regroup_axes,
    resize_axis,
    roll_axis,
    slice_axis,
    unite_axes,
)


@pytest.fixture
def rows():
    return make_axis(6, PLACE, 2)


@pytest.fixture
def columns():
    return make_axis(8, PLACE, 3)


@pytest.fixture
def channels():
    return make_axis(4, CHANNEL)


def test_windows_are_cut_and_put_together_again(rows, columns, channels):
    """(6, 8, 4) -> 3 x 2 windows of 2 x 4 -> (6, 8, 4): all axes are what they were."""
    split = regroup_axes([rows, columns, channels], (3, 2, 2, 4, 4))
    assert [(axis[0].role.origin, axis[0].size, axis[0].step) for axis in split[:4]] == [
        (2, 3, 2),
        (2, 2, 1),
        (3, 2, 4),
        (3, 4, 1),
    ]
    windows = regroup_axes([split[i] for i in (0, 2, 1, 3, 4)], (6, 8, 4))
    assert kind_of(windows[2]) == CHANNEL
    again = regroup_axes(windows, (3, 2, 2, 4, 4))
    merged = regroup_axes([again[i] for i in (0, 2, 1, 3, 4)], (6, 8, 4))
    assert [(axis[0].role.origin, axis[0].size, axis[0].complete) for axis in merged[:2]] == [
        (2, 6, True),
        (3, 8, True),
    ]


def test_axes_of_one_come_and_go(rows, channels):
    assert regroup_axes([(), rows, channels], (6, 1, 4)) == [rows, (), channels]


def test_a_cut_that_no_factor_has_is_unknown(rows, channels):
    """6 x 4 values as 8 x 3: nobody can say what stands where."""
    assert [kind_of(axis) for axis in regroup_axes([rows, channels], (8, 3))] == [None, None]


def test_a_class_token_is_told_from_the_patches(rows, columns):
    (patches,) = regroup_axes([rows, columns], (48,))
    tokens = join_axes([make_axis(1), patches, make_axis(2)])
    assert axis_size(tokens) == 51
    assert slice_axis(tokens, slice(1, 49), 51) == patches
    assert slice_axis(tokens, slice(0, 1), 51) == ()
    kept = slice_axis(tokens, slice(0, 49), 51)
    assert kept[0].pieces == ((), patches)
    (cut,) = slice_axis(tokens, slice(2, 49), 51)
    assert cut.role.origin != 2


def test_channels_put_together_are_channels(channels):
    assert kind_of(join_axes([channels, make_axis(3, CHANNEL)])) == CHANNEL


def test_what_was_padded_may_go(rows):
    padded = resize_axis(rows, 8, padded=True)
    (back,) = slice_axis(padded, slice(0, 6), 8)
    assert (back.role.origin, back.size, back.padding) == (2, 6, 0)
    (half,) = slice_axis(rows, slice(0, 3), 6)
    assert half.role.origin == ASTRAY
    (further,) = slice_axis(padded, slice(0, 5), 8)
    assert further.role.origin == ASTRAY


def test_each_second_place_is_a_coarser_map(rows):
    assert [slice_axis(rows, slice(start, None, 2), 6)[0].role.origin for start in (0, 1)] == [2, 2]


def test_rolled_back_is_as_before(rows):
    rolled = roll_axis(rows, -2)
    assert rolled[0].role.origin == ASTRAY
    assert roll_axis(rolled, 2) == rows
    assert roll_axis(roll_axis(rolled, -2), -2) == rows
    assert roll_axis(rolled, 1)[0].role.origin == ASTRAY


def test_the_order_of_channels_does_not_matter(channels):
    assert lead_astray(channels)[0].role.origin is None


def test_what_is_added_is_the_same(rows):
    unknown = make_axis(6)
    assert unite_axes(unknown, rows)[0].role is rows[0].role
    mark_axis(unknown, CHANNEL)  # comes too late: it is known to be places
    assert kind_of(unknown) == PLACE


def test_rows_added_to_columns_are_neither():
    rows, columns = make_axis(5, PLACE, 2), make_axis(5, PLACE, 3)
    assert unite_axes(rows, columns)[0].role.origin == ASTRAY


def test_places_are_not_united_with_channels(rows):
    channels = make_axis(6, CHANNEL)
    unite_axes(rows, channels)
    assert (kind_of(rows), kind_of(channels)) == (PLACE, CHANNEL)
