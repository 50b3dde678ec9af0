"""Twins differ in one thing alone, and go on from each other as they say.

Tests: xnb.training.twins
"""

from xnb import checkpoints
from xnb.summary import count_parameters
from xnb.training.twins import list_twins

TWINS = list_twins()


def test_all_have_recipes_and_eight_trainings():
    assert set(TWINS) <= set(checkpoints.RECIPES)
    for name, entries in TWINS.items():
        members = getattr(entries["model"](), "members", None)
        assert len(members) == 8 if members is not None else f"{name[:-1]}7" in TWINS


def test_the_two_fields_have_the_same_parameters_pictures_and_training():
    local, wide = TWINS["local-shapes24"], TWINS["wide-shapes24"]
    assert count_parameters(local["model"]()) == count_parameters(wide["model"]())
    assert {key for key in local if local[key] != wide[key]} == {"model"}


def test_what_goes_on_from_another_network_is_listed_behind_it():
    names = list(checkpoints.RECIPES)
    for name, entries in TWINS.items():
        start = entries.get("start")
        assert start is None or names.index(start) < names.index(name)


def test_networks_of_cues_see_the_same_objects():
    parts = [TWINS[f"{kind}-shapes24"]["data"]().train for kind in ("wide", "misled", "blurred")]
    for part in parts[1:]:
        assert (part.y == parts[0].y).all()
        inside = (parts[0].masks & part.masks).expand_as(part.x)
        assert (part.x[inside] == parts[0].x[inside]).all()
