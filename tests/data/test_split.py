"""A part is selected, moved and checked with all that is known of its inputs."""

import pytest
import torch

from xnb import data
from xnb.data.split import Part


def test_rows_of_a_part():
    part = data.digits().test
    few = part[torch.tensor([3, 1])]
    assert len(few) == 2
    assert torch.equal(few.x[0], part.x[3])
    assert few.masks is None


def test_lengths_must_agree():
    with pytest.raises(Exception, match=r"same length|B"):
        Part(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long))


def test_rows_of_a_part_keep_their_evidence():
    part = data.bags(n=(10, 0)).train
    few = part[torch.tensor([3, 1])]
    assert torch.equal(few.evidence, part.evidence[[3, 1]])
    assert data.digits().test[:2].evidence is None


@pytest.mark.usefixtures("as_users_run")
def test_evidence_must_be_as_long_as_the_rest():
    part = data.bags(n=(4, 0)).train
    with pytest.raises(ValueError, match=r"masks and evidence must have the same length\n  got: \[3, 4\]"):
        data.Part(part.x, part.y, evidence=part.evidence[:3])


def test_a_part_on_a_device_is_the_same_part():
    part = data.robots(n=(4, 0)).train
    moved = part.to(torch.device("cpu"))
    assert all(torch.equal(value, getattr(moved, name)) for name, value in vars(part).items())
    assert data.digits().test.to(torch.device("cpu")).masks is None


@pytest.mark.parametrize("shape", [(3, 1, 20), (3, 6), (3, 5, 1), (3, 1, 2, 4, 4)])
def test_masks_are_of_signals_tables_tokens_and_volumes_too(shape):
    masks = torch.ones(shape, dtype=torch.bool)
    part = Part(torch.zeros(shape), torch.zeros(3, dtype=torch.long), masks)
    assert torch.equal(part[1:].masks, masks[1:])
