"""A bar appears where something is slow, and only one; many passes are announced before they run, once."""

from typing import ClassVar

import pytest

from xnb import progress
from xnb.progress import add_planned_passes, announce_passes, hide_progress, name_call, show_progress


class Bar:
    """Stands in for tqdm."""

    made: ClassVar[list] = []

    def __init__(self, total, initial, desc=None, **style):
        self.total, self.count, self.closed, self.name = total, initial, False, desc
        self.made.append(self)

    def update(self):
        self.count += 1

    def close(self):
        self.closed = True

    def set_description(self, name):
        self.name = name


@pytest.fixture
def bars(monkeypatch):
    monkeypatch.setattr(progress, "tqdm", Bar)
    monkeypatch.setattr(Bar, "made", [])
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)
    return Bar


def test_counts_to_the_end(bars):
    assert list(show_progress("abc", 3, "letter")) == ["a", "b", "c"]
    (bar,) = bars.made
    assert (bar.total, bar.count, bar.closed) == (3, 3, True)


def test_none_is_made_for_what_is_quick(bars, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 60.0)
    assert list(show_progress("abc", 3, "letter")) == ["a", "b", "c"]
    assert bars.made == []


def test_what_runs_inside_makes_none_and_what_follows_does(bars):
    for _ in show_progress("ab", 2, "outer"):
        list(show_progress("cde", 3, "inner"))
    list(show_progress("f", 1, "later"))
    assert [bar.total for bar in bars.made] == [2, 1]


def test_an_exception_leaves_room_for_the_next(bars):
    with pytest.raises(ZeroDivisionError):
        list(show_progress((1 / n for n in (1, 0)), 2, "number"))
    list(show_progress("a", 1, "letter"))
    assert [bar.closed for bar in bars.made] == [True, True]


def test_a_bar_has_the_name_of_the_call(bars):
    with name_call("occlusion"):
        list(show_progress("ab", 2, "pass"))
    list(show_progress("ab", 2, "pass"))
    assert [bar.name for bar in bars.made] == ["occlusion", None]


def test_a_bar_says_what_is_worked_on(bars):
    """Also of the first item, though the bar appears while it is worked on."""
    names = []
    for _ in show_progress("ab", 2, "letter", describe=str.upper):
        names.append(bars.made[0].name)
    assert names == ["A", "B"]


@pytest.fixture
def patient(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 2.0)


@pytest.mark.usefixtures("patient")
class TestAnnouncement:
    def test_one_line_before_many_passes(self, capfd):
        with name_call("occlusion"):
            announce_passes(1_000, 1)
            announce_passes(3_136, 1, "window=28, stride=28")
            announce_passes(5_000, 1)
        announce_passes(2_000, 3)
        out, err = capfd.readouterr()
        assert out == ""
        assert err == (
            "occlusion: 3,136 passes of 1 input; try window=28, stride=28\nxnb: 2,000 passes of each of 3 inputs\n"
        )

    def test_the_rounds_of_a_call_add_up(self, capfd):
        with name_call("rise"):
            for _ in range(4):
                add_planned_passes(400, 2)
        add_planned_passes(5_000, 2)  # of no named call: nobody knows what it belongs to
        assert capfd.readouterr().err == "rise: 1,200 passes of each of 2 inputs\n"

    def test_a_loop_says_it_once_and_the_next_loop_again(self, capfd):
        for _ in range(2):
            for _ in show_progress("abc", 3, "cell"):
                list(show_progress("d", 1, "inner"))
                with name_call("rise"):
                    announce_passes(2_000, 1)
        assert capfd.readouterr().err == "rise: 2,000 passes of 1 input\n" * 2

    @pytest.mark.parametrize("way", ["hidden", "stored"])
    def test_none_in_a_widget_and_in_stored_notebooks(self, way, monkeypatch, capfd):
        if way == "stored":
            monkeypatch.setattr(progress, "PATIENCE_SECONDS", float("inf"))
            announce_passes(2_000, 1)
        else:
            with hide_progress():
                announce_passes(2_000, 1)
        assert capfd.readouterr().err == ""
