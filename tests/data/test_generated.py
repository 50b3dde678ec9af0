"""Laws that hold for every generated data set: every function of `xnb.data` that takes a number `n` and a `seed`.

A new one is found here by itself. Add it to `VARIANTS` where it has tasks, and to `WITHOUT_EVIDENCE` where its
evidence can be left out.
"""

from inspect import signature

import pytest
import torch

from xnb import data
from xnb.data.digit_bags import TASKS
from xnb.data.robot_pictures import ROBOT_PARTS
from xnb.data.tetromino_pictures import STRENGTH

GENERATED = [name for name in data.__all__ if {"n", "seed"} <= signature(getattr(data, name)).parameters.keys()]
# Different tasks of one function are drawn by different code.
VARIANTS = {
    "bags": [{"task": task} for task in TASKS],
    "tetrominoes": [{"task": task, "background": background} for task in STRENGTH for background in STRENGTH[task]],
    "objects_on_textures": [{"label": "object"}, {"label": "texture"}],
}
CASES = [(name, knobs) for name in GENERATED for knobs in VARIANTS.get(name, [{}])]
# Knobs with the evidence and knobs without it. Where a form may lie in two places, its mask has both.
WITHOUT_EVIDENCE = {
    "shapes": ({"distractors": 2}, {"distractors": 2, "objects": False}),
    "objects_on_textures": ({}, {"objects": False}),
    "watermark": ({"mark": "never"}, {"mark": "never", "objects": False}),
    "robots": ({}, {"remove": list(ROBOT_PARTS)}),
    "tetrominoes": ({}, {"strength": 0.0}),
}
every_case = pytest.mark.parametrize(("name", "knobs"), CASES, ids=lambda value: str(value))


def tensors(part):
    return {field: value for field, value in vars(part).items() if value is not None}


def assert_equal(a, b):
    assert tensors(a).keys() == tensors(b).keys()
    for field, value in tensors(a).items():
        assert torch.equal(value, tensors(b)[field]), field


def test_the_generated_data_sets_are_found():
    assert {"shapes", "bags", "tetrominoes", "objects_on_textures", "robots", "watermark"} <= set(GENERATED)
    assert set(VARIANTS) <= set(GENERATED)


@every_case
def test_same_seed_same_bytes_whatever_the_number(name, knobs):
    make = getattr(data, name)
    more, fewer = make(n=(20, 5), **knobs), make(n=(10, 9), **knobs)
    assert_equal(more.train[:10], fewer.train)
    assert_equal(more.test, fewer.test[:5])
    assert_equal(more.train, make(n=(20, 5), seed=0, **knobs).train)


@every_case
def test_another_part_and_another_seed_are_other_inputs(name, knobs):
    make = getattr(data, name)
    split, other = make(n=(20, 20), **knobs), make(n=(20, 20), seed=1, **knobs)
    for a, b in ((split.train, split.test), (split.train, other.train), (split.test, other.test)):
        assert (a.x != b.x).flatten(1).any(1).all()


@every_case
def test_classes_are_equally_frequent_and_truths_have_their_form(name, knobs):
    split = getattr(data, name)(n=(72, 36), **knobs)
    assert split.train.y.bincount().tolist() == [72 // len(split.classes)] * len(split.classes)
    for part in (split.train, split.test):
        assert part.x.dtype == torch.float32
        assert part.x.isfinite().all()
        assert part.masks is not None or part.evidence is not None
        assert part.masks is None or part.masks.flatten(1).any(1).all()
        assert part.parts is None or torch.equal(part.masks, part.masks & (part.parts > 0))
        assert part.evidence is None or set(part.evidence.unique().tolist()) <= {-1, 0, 1}


@pytest.mark.parametrize("name", [name for name in GENERATED if name != "bags"])
def test_evidence_lies_where_the_mask_says(name):
    """Without the evidence every picture is another one, within its mask alone."""
    present, absent = WITHOUT_EVIDENCE[name]
    make = getattr(data, name)
    before, after = make(n=(60, 0), **present).train, make(n=(60, 0), **absent).train
    inside = before.masks.expand_as(before.x)
    changed = before.x != after.x
    assert not changed[~inside].any()
    assert changed.flatten(1).any(1).all()
    assert torch.equal(before.y, after.y)
    if name != "tetrominoes":  # their masks are places, also of what is not there
        assert changed.any(1, keepdim=True)[before.masks].float().mean() > 0.99
        assert not after.masks.any()
