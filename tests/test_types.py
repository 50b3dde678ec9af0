"""The types of signatures tell shapes and dtypes apart."""

import pytest
import torch

from xnb.types import Attribution, Batch, Logits, Masks, Scores, Target


@pytest.mark.parametrize("annotation", [Batch, Attribution, Logits])
def test_values_are_floating_point(annotation):
    assert isinstance(torch.zeros(2, 3), annotation)
    assert not isinstance(torch.zeros(2, 3, dtype=torch.long), annotation)


@pytest.mark.parametrize(
    ("annotation", "dtype", "shape"),
    [(Target, torch.long, (4,)), (Scores, torch.float, (4,)), (Masks, torch.bool, (4, 1, 3, 3))],
)
def test_one_entry_an_input(annotation, dtype, shape):
    assert isinstance(torch.zeros(shape, dtype=dtype), annotation)
    assert not isinstance(torch.zeros(*shape, 2, dtype=dtype), annotation)
    assert not isinstance(torch.zeros(shape, dtype=torch.complex64), annotation)
