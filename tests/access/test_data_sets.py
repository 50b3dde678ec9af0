"""Whole data sets: what no call can take is refused, and data are known again by what is in them."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from xnb.access.data_sets import describe_data, read_data_set, read_rows
from xnb.data import Part, Split, Streamed

X = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(100) % 2
PART = Part(X, Y)
NET = nn.Linear(4, 2).eval()


class Broken(Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, position):
        if position == 4:
            raise OSError("truncated")
        return X[position], int(Y[position])


def test_parts_stay_parts_and_others_are_streamed():
    part = Part(X.clone().requires_grad_(), Y)
    assert not read_data_set(NET, part, "ask").x.requires_grad
    streamed = Streamed(TensorDataset(X, Y))
    assert read_data_set(NET, streamed, "ask") is streamed
    for data in (TensorDataset(X, Y), DataLoader(TensorDataset(X, Y), 8)):
        assert torch.equal(read_data_set(NET, data, "ask")[:3].x, X[:3])


@pytest.mark.parametrize("wrong", [X, (X, Y), Split(PART, PART, ("a", "b")), None, PART[:0], Part(X / 0, Y)])
def test_anything_else_is_refused(wrong, as_users_run):
    with pytest.raises(ValueError, match=r"^ask: "):
        read_data_set(NET, wrong, "ask")


def test_rows_that_cannot_be_read_are_named():
    read = read_rows(Streamed(Broken()), slice(3, 6))
    assert torch.equal(read.part.x, X[[3, 5]])
    assert read.places == [0, 2]
    assert read.errors == {1: "OSError: truncated"}
    held = read_rows(PART, slice(98, 104))
    assert torch.equal(held.part.x, X[98:])
    assert (held.places, held.errors) == ([0, 1], {})


def test_data_are_known_by_their_values():
    other = X.clone()
    other[99, 3] += 1
    assert describe_data(PART) == describe_data(Part(X.clone(), Y)) != describe_data(Part(other, Y))
    streamed, last = (describe_data(Streamed(TensorDataset(x, Y))) for x in (X, other))
    assert streamed.startswith("100 streamed, ")
    assert streamed == describe_data(Streamed(list(zip(X, Y, strict=True)))) != last
