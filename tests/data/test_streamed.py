"""Inputs that are read when they are asked for: the same as in memory, and what is no such data is refused."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import xnb
from xnb.data import Part, Streamed

X = torch.randn(9, 2, 3, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(9) % 3
MASKS = X[:, :1] > 0


class Counted(Dataset):
    """Counts what is read, and fails at the named positions."""

    def __init__(self, broken=()):
        self.read = []
        self.broken = broken

    def __len__(self):
        return len(X)

    def __getitem__(self, position):
        self.read.append(position)
        if position in self.broken:
            raise OSError(f"picture {position} is truncated")
        return X[position], int(Y[position])


def test_rows_are_those_of_the_part_in_memory():
    streamed, part = Streamed(TensorDataset(X, Y, MASKS)), Part(X, Y, MASKS)
    assert len(streamed) == len(part)
    for rows in (slice(2, 5), slice(None), torch.tensor([7, 0, 3]), slice(0, 0), slice(8, 20)):
        if not len(part[rows]):
            continue
        read, held = streamed[rows], part[rows]
        assert torch.equal(read.x, held.x)
        assert torch.equal(read.y, held.y)
        assert torch.equal(read.masks, held.masks)


def test_only_what_is_asked_for_is_read():
    source = Counted()
    streamed = Streamed(source)
    source.read.clear()
    streamed[3:5]
    assert source.read == [3, 4]
    chosen = streamed.select([8, 6, 1]).select([2, 0])
    source.read.clear()
    assert torch.equal(chosen[:].x, X[[1, 8]])
    assert source.read == [1, 8]


def test_a_selection_reads_nothing_until_it_is_asked_and_leaves_the_whole():
    source = Counted(broken=(0,))
    with pytest.raises(OSError, match="picture 0 is truncated"):
        Streamed(source)
    source = Counted()
    streamed = Streamed(source)
    source.read.clear()
    subset = streamed.select([5, 2])
    assert source.read == []
    assert subset.read_readable(slice(None)).places == [0, 1]
    assert (len(subset), len(streamed)) == (2, 9)


def test_a_loader_lends_its_data_set_and_how_it_collates_but_not_its_order():
    def collate(items):
        x, y = zip(*items, strict=True)
        return torch.stack(x) + 1, torch.tensor(y)

    loader = DataLoader(Counted(), batch_size=4, shuffle=True, collate_fn=collate)
    streamed = Streamed(loader)
    assert torch.equal(streamed[:].x, X + 1)
    assert torch.equal(streamed.select([2])[:].x, X[[2]] + 1)


def test_a_list_of_pairs_and_pairs_of_arrays():
    pairs = [(x.numpy(), np.int64(y)) for x, y in zip(X, Y, strict=True)]
    assert torch.equal(Streamed(pairs)[:].x, X)
    assert torch.equal(Streamed(pairs)[:].y, Y)


def test_other_items_are_read_as_they_are_told():
    items = [{"image": x, "label": int(y)} for x, y in zip(X, Y, strict=True)]
    with pytest.raises(ValueError, match=r"must be \(x, y\)") as error:
        Streamed(items)
    assert 'read=lambda item: (item["image"], item["label"])' in str(error.value)
    streamed = Streamed(items, read=lambda item: (item["image"], item["label"]))
    assert torch.equal(streamed[:].x, X)
    assert torch.equal(streamed.select([4])[:].x, X[[4]])


def test_what_cannot_be_read_is_named_and_the_rest_is_there():
    read = Streamed(Counted(broken=(3, 8))).read_readable(slice(2, 5))
    assert torch.equal(read.part.x, X[[2, 4]])
    assert read.places == [0, 2]
    assert read.errors == {1: "OSError: picture 3 is truncated"}
    nothing = Streamed(Counted(broken=(3, 4))).read_readable(slice(3, 5))
    assert nothing.part is None
    assert set(nothing.errors) == {0, 1}


def test_a_reason_is_the_same_in_each_run():
    """Pillow names the place in memory of what it could not read."""

    def read(item):
        return (Image.open(item), 0) if isinstance(item, BytesIO) else item

    read_rows = Streamed([(X[0], 0), BytesIO(b"no picture")], read=read).read_readable(slice(None))
    assert "cannot identify image file" in read_rows.errors[1]
    assert "0x" not in read_rows.errors[1]


def test_an_input_of_another_shape_or_with_nan_is_one_that_cannot_be_read():
    items = [(X[0], 0), (X[1, :, :2], 1), (X[2] / 0 * 0, 2), (X[3], 0)]
    read = Streamed(items).read_readable(slice(None))
    assert read.places == [0, 3]
    assert "one shape, (2, 3, 3)" in read.errors[1]
    assert "finite" in read.errors[2]


class Endless(IterableDataset):
    def __iter__(self):
        yield X[0], 0


class Shuffling(Counted):
    def __getitem__(self, position):
        return torch.rand(2), 0


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        (Endless(), "must have a length"),
        (DataLoader(Endless()), "must have a length"),
        (Shuffling(), "the same each time"),
        ([(Image.new("RGB", (2, 2)), 0)], "x a tensor"),
        ([X[0]], r"must be \(x, y\)"),
    ],
)
def test_what_is_no_such_data_is_refused_at_once(source, rule):
    with pytest.raises(ValueError, match=rule) as error:
        Streamed(source)
    assert "\n  try: " in str(error.value)


ASK = {"methods": ["occlusion"], "metrics": ["srg"], "batch": 2}
KNOBS = {"srg": {"steps": 2}, "occlusion": {"window": 2, "stride": 1}}


class TestCompared:
    """A comparison reads block by block, and finds the same."""

    @pytest.fixture
    def net(self):
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(18, 3)).eval()

    def test_values_are_those_of_the_part(self, net):
        of_part = xnb.compare(net, Part(X, Y), **ASK, knobs=KNOBS)
        for data in (TensorDataset(X, Y), DataLoader(TensorDataset(X, Y), shuffle=True), Streamed(Counted())):
            streamed = xnb.compare(net, data, **ASK, knobs=KNOBS)
            np.testing.assert_array_equal(streamed["value"], of_part["value"])
            np.testing.assert_array_equal(streamed["image"], of_part["image"])

    def test_images_targets_and_masks_follow(self, net):
        ask = {"methods": ["gradient"], "metrics": ["relevance_mass"], "batch": 2, "images": [7, 2, 5], "target": Y}
        of_part = xnb.compare(net, Part(X, Y, MASKS), **ask)
        streamed = xnb.compare(net, TensorDataset(X, Y, MASKS), **ask)
        assert of_part["value"].notna().any()
        np.testing.assert_array_equal(streamed["value"], of_part["value"])

    def test_it_never_holds_more_than_a_block(self, net):
        source = Counted()
        data = Streamed(source)
        most = []
        plain = data.read_readable
        data.read_readable = lambda rows: most.append(rows) or plain(rows)
        xnb.compare(net, data, **ASK, knobs=KNOBS)
        blocks = [rows for rows in most if isinstance(rows, slice)]
        assert {(rows.start, rows.stop) for rows in blocks} >= {(0, 2), (8, 10)}
        assert all(rows.stop - rows.start <= 2 for rows in blocks)

    def test_an_input_that_cannot_be_read_has_an_error_and_all_others_a_value(self, net, tmp_path):
        whole = xnb.compare(net, Part(X, Y), **ASK, knobs=KNOBS).set_index(["method", "image"])
        path = tmp_path / "t.parquet"
        table = xnb.compare(net, Counted(broken=(3, 4, 5)), **ASK, knobs=KNOBS, path=path)
        assert list(table["image"].unique()) == list(range(9))
        unread = table[table["image"].isin([3, 4, 5])]
        assert unread["value"].isna().all()
        assert unread["error"].str.contains("is truncated").all()
        rest = table[~table["image"].isin([3, 4, 5])].set_index(["method", "image"])
        assert rest["error"].isna().all()
        np.testing.assert_allclose(rest["value"], whole.loc[rest.index, "value"], rtol=1e-5, atol=1e-7)

    def test_it_goes_on_with_the_same_data_and_refuses_other(self, net, tmp_path):
        path = tmp_path / "t.parquet"
        xnb.compare(net, TensorDataset(X, Y), **ASK, knobs=KNOBS, path=path)
        before = path.read_bytes()
        source = Counted()
        xnb.compare(net, source, **ASK, knobs=KNOBS, path=path)
        assert path.read_bytes() == before
        with pytest.raises(ValueError, match="other settings: data "):
            xnb.compare(net, TensorDataset(X + 1e-6, Y), **ASK, knobs=KNOBS, path=path)


def test_the_end_of_memory_is_no_property_of_an_input():
    class Hungry(Counted):
        def __getitem__(self, position):
            if position == 4:
                raise MemoryError("no room for a picture")
            return super().__getitem__(position)

    with pytest.raises(MemoryError, match="no room for a picture"):
        Streamed(Hungry()).read_readable(slice(3, 6))
