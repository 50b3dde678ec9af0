"""Functions by name with their cards: entered once, found with the nearest names, shown as a table.

Tests: xnb.registry, xnb.methods.registry, xnb.metrics.registry
"""

from dataclasses import dataclass

import pytest

import xnb
from xnb.methods.registry import MethodCard, method
from xnb.metrics.registry import METRICS
from xnb.registry import Registry


@dataclass(frozen=True)
class Colour:
    red: int


@pytest.fixture
def colours():
    registry = Registry("colour", "no colour of that name")

    @registry.enter(Colour(255))
    def rose():
        return "rose"

    @registry.enter(Colour(0))
    def azure():
        return "azure"

    return registry


def test_a_function_comes_back_untouched_and_in_order(colours):
    assert list(colours) == ["rose", "azure"]
    assert len(colours) == 2
    assert colours["rose"]() == "rose"
    assert colours.cards["rose"] == Colour(255)


def test_a_name_is_entered_once(colours):
    def rose():
        return "another"

    with pytest.raises(ValueError, match=r"colour: names must be unique\n  got: 'rose'"):
        colours.enter(Colour(1))(rose)
    assert colours["rose"]() == "rose"


def test_an_unknown_name_is_answered_with_the_nearest(colours):
    assert colours.find("azure") is colours["azure"]
    with pytest.raises(ValueError, match=r"no colour of that name\n  got: 'roze'\n  try: one of \['rose'\]"):
        colours.find("roze")


def test_a_table_has_a_row_a_function(colours):
    assert colours.table().to_dict("list") == {"colour": ["rose", "azure"], "red": [255, 0]}


def test_methods_and_metrics_are_registries_of_their_own():
    assert isinstance(xnb.METHODS.cards["lrp"], MethodCard)
    assert not set(xnb.METHODS) & set(METRICS)
    assert list(xnb.catalog().columns) == ["method", "family", "needs", "cost", "axioms", "paper"]
    assert list(xnb.catalog()["method"]) == list(xnb.METHODS)


def test_a_method_cannot_take_a_name_that_is_taken():
    def lrp():
        return None

    with pytest.raises(ValueError, match="method: names must be unique"):
        method(family="rules", needs="modules", cost="1 F", paper="none")(lrp)
