"""Kinds that are compared differ in what their names say, and in nothing else that is not written down."""

import pytest

from xnb import checkpoints
from xnb.summary import count_parameters
from xnb.training.changes import STRENGTHS, list_changes
from xnb.training.loop import cross_entropy

CHANGES = list_changes()


def entries_of(name):
    return {"objective": cross_entropy} | CHANGES[name]


def test_all_are_ensembles_of_four_trainings():
    assert {len(entries["model"]().members) for entries in CHANGES.values()} == {4}
    assert set(CHANGES) <= set(checkpoints.RECIPES)


@pytest.mark.parametrize("kind", ["elsewhere", "swapped", *(f"penalised{strength}" for strength in STRENGTHS)])
def test_against_the_mark_the_objective_alone_differs(kind):
    marked, other = entries_of("marked-watermark"), entries_of(f"{kind}-watermark")
    assert {key for key in other if key != "model" and repr(marked[key]) != repr(other[key])} <= {"objective"}
    assert other["objective"] is not cross_entropy
    assert count_parameters(other["model"]()) == count_parameters(marked["model"]())


def test_the_repaired_network_sees_the_same_objects():
    marked, repaired = (entries_of(f"{kind}-watermark")["data"]().train for kind in ("marked", "repaired"))
    both = marked.masks & repaired.masks
    assert (marked.x == repaired.x).all(1, keepdim=True)[both].all()
    assert (marked.y == repaired.y).all()


def test_masking_and_the_early_stop_change_one_thing_of_the_plain_network():
    plain = entries_of("plain-shapes24")
    for kind, changed in (("masking", {"objective"}), ("early", {"epochs"})):
        other = entries_of(f"{kind}-shapes24")
        assert {key for key in other if repr(plain[key]) != repr(other[key])} == changed
