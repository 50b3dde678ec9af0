"""How a view is kept up to date.

Tests: xnb.widgets.panel, xnb.widgets.cache
"""

import threading
import time

import ipywidgets as W
import pytest

from xnb.widgets.cache import BoundedCache
from xnb.widgets.panel import AUTOMATIC, Panel, make_class_dropdown, selected_value


class Counting(Panel):
    """Draws what its slider says, and takes as many seconds as it is told to."""

    def __init__(self, seconds=0.0):
        self.drawn = []
        self.seconds = seconds
        super().__init__({"value": W.IntSlider(0, 0, 100)})

    def draw(self):
        value = self.controls["value"].value
        time.sleep(self.seconds)
        self.drawn.append(value)
        yield "view", str(value)


def test_the_last_state_wins_and_work_out_of_date_is_dropped():
    panel = Counting(0.05)
    threads = [threading.Thread(target=setattr, args=(panel.controls["value"], "value", k)) for k in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert panel.areas["view"].value == str(panel.controls["value"].value)
    assert len(panel.drawn) < 20


def test_several_changes_are_drawn_once():
    panel = Counting()
    with panel.draw_once():
        for k in range(1, 4):
            panel.controls["value"].value = k
    assert panel.drawn == [3]


@pytest.mark.parametrize(("seconds", "marked"), [(0.0, False), (0.4, True)], ids=["quick", "slow"])
def test_slow_work_is_marked_and_quick_work_is_not(seconds, marked):
    panel = Counting(seconds)
    marks = []
    panel.busy.observe(lambda change: marks.append(change.new), "value")
    panel.controls["value"].value = 1
    if marked:
        assert "working" in marks[0]
        assert marks[1:] == [""]
    else:
        assert marks == []


def test_an_error_that_nobody_thought_of_is_shown_too():
    panel = Counting()

    def fails():
        yield "view", "fine"
        yield "view", str(1 / 0)

    panel.draw = fails
    panel.controls["value"].value = 4
    assert "division by zero" in panel.areas["view"].value


def test_an_error_before_the_first_area_is_shown_too():
    panel = Counting()
    panel.draw = lambda: iter([("view", 1 / 0)])
    panel.controls["value"].value = 4
    assert "division by zero" in panel.areas["view"].value


def test_a_cache_computes_once_and_forgets_the_oldest():
    computed = []
    cache = BoundedCache(limit=2)

    def ask(key):
        return cache.get(key, lambda: computed.append(key) or key)

    assert [ask(key) for key in "aab"] == ["a", "a", "b"]
    ask("c")
    ask("b")
    assert computed == ["a", "b", "c"]
    ask("a")
    assert computed == ["a", "b", "c", "a"]


def test_a_class_is_chosen_or_left_to_the_model():
    dropdown = make_class_dropdown("class", "predicted", ("cat", "dog"), None)
    assert dropdown.value == AUTOMATIC
    assert selected_value(dropdown) is None
    dropdown.value = 1
    assert selected_value(dropdown) == 1
