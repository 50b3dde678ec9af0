"""A bar appears where something is slow, and only one."""

from typing import ClassVar

import pytest

from xnb import progress
from xnb.progress import show_progress


class Bar:
    """Stands in for tqdm."""

    made: ClassVar[list] = []

    def __init__(self, total, initial, **style):
        self.total, self.count, self.closed = total, initial, False
        self.made.append(self)

    def update(self):
        self.count += 1

    def close(self):
        self.closed = True


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
