"""`python -m reproduce`: which tables, with what, and what is printed.

Tests: reproduce.__main__
"""

import re

import pytest

from reproduce import __main__ as command
from reproduce.results import FOLDER
from reproduce.verdicts import NOT


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Tables that note how they were called."""
    calls = []
    row = {"column": "c", "row": "r", "published": 1.0, "ours": -1.0, "low": -2.0, "high": 0.0}
    record = {"title": "a title", "rows": [row | {"verdict": NOT, "because": "another sign"}]}

    def stand_in(name):
        return lambda **knobs: calls.append((name, knobs)) or record

    def share(shard, **knobs):
        calls.append((str(shard), knobs))
        yield "a block"

    monkeypatch.setattr(command, "TABLES", {name: stand_in(name) for name in ("T2", "T1")})
    monkeypatch.setattr(command, "SHARDED", {"T1": share})
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


def test_a_share_of_a_table_of_blocks_writes_no_table(asked, capsys):
    command.main(["T1", "--shard", "3/16", "--pictures", "50"])
    assert asked == [("3/16", {"pictures": 50, "minutes": float("inf")})]
    assert capsys.readouterr().out == "  a block\nT1 · shard 3/16: without --shard the same call makes the table\n"


@pytest.mark.parametrize("names", [[], ["T2"], ["T1", "T2"]])
def test_a_table_without_blocks_cannot_be_shared(names, asked, capsys):
    with pytest.raises(SystemExit):
        command.main([*names, "--shard", "1/2"])
    assert "T2 cannot be shared: --shard is for T1, made of blocks" in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize("shard", ["0/16", "17/16", "3", ""])
def test_a_share_that_is_none_is_refused(shard, asked, capsys):
    with pytest.raises(SystemExit):
        command.main(["T1", "--shard", shard])
    assert "reproduce: shard must be written as number/count, the first of sixteen as 1/16" in capsys.readouterr().err
    assert asked == []


def test_the_lines_of_the_page_are_commands():
    page = (FOLDER / "README.md").read_text()
    lines = [line.strip() for line in re.findall(r"^(?:sbatch .*)?python -m reproduce ([^'#\n]+)", page, re.M)]
    assert lines == ["T2", "T1 --shard $SLURM_ARRAY_TASK_ID/16", "T1"]
    for number in (1, 16):
        options = command.read_arguments(lines[1].replace("$SLURM_ARRAY_TASK_ID", str(number)).split())
        assert str(options.shard) == f"{number}/16"
