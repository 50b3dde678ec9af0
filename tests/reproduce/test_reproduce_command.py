"""`python -m reproduce`: which tables, with what, and what is printed.

Tests: reproduce.__main__
"""

import pytest

from reproduce import __main__ as command
from reproduce.verdicts import NOT


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Tables that note how they were called."""
    calls = []
    row = {"column": "c", "row": "r", "published": 1.0, "ours": -1.0, "low": -2.0, "high": 0.0}
    record = {"title": "a title", "rows": [row | {"verdict": NOT, "because": "another sign"}]}

    def stand_in(name):
        return lambda **knobs: calls.append((name, knobs)) or record

    monkeypatch.setattr(command, "TABLES", {name: stand_in(name) for name in ("T2", "T1")})
    monkeypatch.setenv("XNB_PUBLISHED", str(tmp_path))
    return calls


def test_named_tables_are_computed_with_their_knobs(asked, capsys):
    command.main(["T1", "--pictures", "50", "--minutes", "3"])
    assert asked == [("T1", {"pictures": 50, "minutes": 3.0})]
    out = capsys.readouterr().out
    assert "T1 · a title\n  c · r: 1 | -1 [-2, 0] not reproduced, because another sign\n  not reproduced: 1\n" in out


def test_without_names_all_are_computed_the_gate_first(asked):
    command.main([])
    assert [name for name, _ in asked] == ["T2", "T1"]


def test_an_unknown_table_is_refused(asked, capsys):
    with pytest.raises(SystemExit):
        command.main(["T9"])
    assert "no table T9: choose among T2, T1" in capsys.readouterr().err


def test_a_folder_takes_the_place_of_the_variable(asked, monkeypatch):
    command.main(["T2", "--data", "elsewhere"])
    assert command.os.environ["XNB_PUBLISHED"] == "elsewhere"
