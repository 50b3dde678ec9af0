"""Functions by name, with a card of facts each."""

from dataclasses import dataclass

import pytest

from xnb.registry import Registry


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
