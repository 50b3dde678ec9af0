"""Functions by name, with a card of facts each."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from xnb.registry import Registry, check_knobs


@dataclass(frozen=True)
class Card:
    unit: str


@pytest.fixture
def registry():
    registry = Registry("tool", "tools: no tool of that name")

    @registry.enter(Card("m"))
    def ruler():
        return 1

    @registry.enter(Card("kg"))
    def scales():
        return 2

    return registry


def test_functions_are_found_by_name_in_the_order_of_entry(registry):
    assert list(registry) == ["ruler", "scales"]
    assert len(registry) == 2
    assert registry["ruler"]() == registry.find("ruler")() == 1
    assert registry.cards["scales"] == Card("kg")


def test_a_decorated_function_comes_back_untouched(registry):
    def level():
        return 3

    assert registry.enter(Card("degree"))(level) is level


def test_the_table_has_the_fields_of_the_cards(registry):
    assert registry.table().to_dict("records") == [{"tool": "ruler", "unit": "m"}, {"tool": "scales", "unit": "kg"}]


def test_an_unknown_name_is_refused_with_the_nearest(registry):
    with pytest.raises(ValueError, match=r"tools: no tool of that name\n  got: 'rular'\n  try: one of \['ruler'"):
        registry.find("rular")


def test_a_name_is_entered_once(registry):
    with pytest.raises(ValueError, match="tool: names must be unique"):
        registry.enter(Card("m"))(registry["ruler"])


@pytest.mark.usefixtures("as_users_run")
def test_a_name_is_one_string(registry):
    with pytest.raises(ValueError, match=r"one name, a string\n  got: \['ruler'\]\n  try: \"ruler\""):
        registry.find(["ruler"])


def with_knobs(model, x, target, *, steps=3, samples=4):
    return steps * samples


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"stepz": 3}, r"^tool: no knob of that name\n  got: 'stepz'\n  try: one of \['steps'"),
        ({"steps": 3, "sample": 2}, "one of .'samples'"),
    ],
)
def test_an_unknown_knob_is_refused_with_the_nearest(knobs, says):
    with pytest.raises(ValueError, match=says):
        check_knobs(with_knobs, knobs, "tool")


def test_knobs_that_a_function_takes_pass():
    check_knobs(with_knobs, {"steps": 1, "samples": 2}, "tool")
    check_knobs(lambda x, **anything: x, {"stepz": 3}, "tool")
    check_knobs(lambda x, steps=3: x, {"steps": 3}, "tool")
    with pytest.raises(ValueError, match=r"^tool: has no knobs\n  got: 'steps'\n  try: leave out steps$"):
        check_knobs(lambda x: x, {"steps": 3}, "tool")


def measure(*, steps: int = 3, width: float | None = None, sides: int | tuple[int, ...] = 2, kind: bool = False):
    """A function whose knobs are of every kind."""


@pytest.mark.parametrize(
    "knobs",
    [
        {"steps": 4},
        {"steps": np.int64(4)},
        {"steps": torch.tensor(4)},
        {"width": 1},
        {"width": np.float32(0.5)},
        {"width": None},
        {"width": math.inf},
        {"sides": (1, 2)},
        {"sides": [1, np.int64(2)]},
        {"kind": True},
        {"kind": np.True_},
    ],
    ids=str,
)
def test_values_of_the_kind_that_the_signature_names_are_taken(knobs):
    check_knobs(measure, knobs, "measure")


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"steps": 1.5}, "steps must be a whole number"),
        ({"steps": None}, "steps must be a whole number"),
        ({"steps": "3"}, "steps must be a whole number"),
        ({"width": math.nan}, "width must be a number or None"),
        ({"width": "wide"}, "width must be a number or None"),
        ({"width": torch.zeros(3)}, "width must be a number or None"),
        ({"sides": 1.5}, "sides must be a whole number or whole numbers"),
        ({"sides": (1, 0.5)}, "sides must be a whole number or whole numbers"),
        ({"kind": "False"}, "kind must be True or False"),
    ],
    ids=str,
)
def test_a_value_of_another_kind_is_refused(knobs, words):
    with pytest.raises(ValueError, match=rf"measure: {words}\n  got: .*\n  try: "):
        check_knobs(measure, knobs, "measure")
