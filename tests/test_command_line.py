"""Long runs from a command line: what a notebook would compute, in the same bytes.

Tests: xnb.__main__
"""

import os
import subprocess
import sys

import pytest
import torch
import zarr
from claim_files import write_claim

import xnb
from xnb import checkpoints, data
from xnb.__main__ import main
from xnb.comparison import judge_rows, read_claims

STUDY = """
from xnb import checkpoints, data

def arguments():
    part = data.shapes(n=(0, 6), seed=3).test
    return {"model": checkpoints.load("smallcnn-shapes"), "data": part, "methods": ["gradient"],
            "metrics": ["srg"], "knobs": {"srg": {"steps": 2}}, "batch": 2}

def maps():
    part = data.shapes(n=(0, 6), seed=3).test
    return {"model": checkpoints.load("smallcnn-shapes"), "data": part, "method": "gradient", "batch": 2}

def nothing():
    return None
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.py"
    path.write_text(STUDY)
    return f"{path}:arguments"


def compare_here(path):
    net, part = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 6), seed=3).test
    return xnb.compare(net, part, ["gradient"], ["srg"], knobs={"srg": {"steps": 2}}, batch=2, path=path)


def test_a_comparison_has_the_bytes_of_a_call(study, tmp_path):
    main(["compare", study, "--path", str(tmp_path / "a.parquet")])
    compare_here(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_shards_and_gather(study, tmp_path):
    path = str(tmp_path / "a.parquet")
    for shard in ("3/3", "1/3"):
        main(["compare", study, "--path", path, "--shard", shard])
    with pytest.raises(ValueError, match=r"gather: all cells must be finished.*\n.*missing") as error:
        main(["gather", path])
    assert f"try: python -m xnb compare study.py:arguments --path {path}" in str(error.value)
    main(["compare", study, "--path", path, "--shard", "2/3"])
    main(["gather", path])
    main(["gather", path])  # again changes nothing
    compare_here(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert not (tmp_path / "a.parts").exists()


def test_maps_of_all_inputs_in_shards(study, tmp_path):
    path = tmp_path / "maps.zarr"
    for shard in ("2/2", "1/2"):
        main(["attribute", study.replace(":arguments", ":maps"), "--path", str(path), "--shard", shard])
    net, part = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 6), seed=3).test
    store = zarr.open_group(path, mode="r")
    expected = xnb.attribute(net, part.x, net(part.x).argmax(1), "gradient")
    torch.testing.assert_close(torch.from_numpy(store["attribution"][:]), expected, rtol=1e-4, atol=1e-6)
    assert not any(store["error"][:])


def test_a_dry_run_says_the_cost_and_writes_nothing(study, tmp_path, capsys):
    main(["compare", study, "--path", str(tmp_path / "a.parquet"), "--dry-run"])
    line = capsys.readouterr().out
    assert line.startswith("6 inputs, ")
    assert line.rstrip().endswith("MiB")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py"] in ([], ["__pycache__"])


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["compare", "{folder}/none.py:f", "--path", "t.parquet"], "study: there must be such a file"),
        (["compare", "{folder}/study.py:other", "--path", "t.parquet"], "study: the file or module must define"),
        (["compare", "{folder}/study.py:nothing", "--path", "t.parquet"], "study: the function must return"),
        (["compare", "{folder}/study.py:arguments", "--path", "t.parquet", "--shard", "4/3"], "shard must be written"),
        (["gather", "{folder}/t.parquet"], "gather: there must be parts"),
    ],
)
def test_what_is_wrong_is_refused(arguments, rule, study, tmp_path):
    with pytest.raises(ValueError, match=rule) as error:
        main([word.format(folder=tmp_path) for word in arguments])
    assert "\n  got: " in str(error.value)
    assert "\n  try: " in str(error.value)


def test_it_runs_as_a_module_and_tells_a_refusal_without_a_trace(study, tmp_path):
    path = tmp_path / "a.parquet"
    xnb_command = [sys.executable, "-m", "xnb"]
    subprocess.run([*xnb_command, "compare", study, "--path", str(path), "--shard", "1/2"], check=True)
    wrong = subprocess.run([*xnb_command, "gather", str(path)], check=False, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("gather: all cells must be finished")
    assert wrong.stderr.count("\n") == 3
    subprocess.run([*xnb_command, "compare", study, "--path", str(path)], check=True)
    compare_here(tmp_path / "b.parquet")
    assert path.read_bytes() == (tmp_path / "b.parquet").read_bytes()


SBATCH = """#!/bin/bash
# Slurm, as far as an array of jobs needs it: --array=1-3 --wrap 'command'
numbers=${1#--array=}
for n in $(seq ${numbers%-*} ${numbers#*-}); do SLURM_ARRAY_TASK_ID=$n bash -ec "$3" || exit 1; done
"""
# Starting one takes seconds: what it is asked for is noted, and done here.
PYTHON = """#!/bin/bash
shift 2  # -m xnb
echo "$@" >> asked.txt
"""


@pytest.fixture
def lines(capsys):
    """The lines that the help shows, for two jobs in place of sixteen."""
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out.split("a sweep by sixteen jobs")[1]
    return [line.strip().replace("16", "2") for line in shown.splitlines() if line.startswith("  ")]


@pytest.fixture
def run_line(tmp_path, monkeypatch):
    """Run a line in a folder of its own, with a scheduler on the path, and do what it asks `python -m xnb` for."""
    (tmp_path / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("python", PYTHON)):
        program = tmp_path / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))
    monkeypatch.chdir(tmp_path)

    def run(line):
        subprocess.run(["bash", "-ec", line], check=True)
        asked = (tmp_path / "asked.txt").read_text().splitlines()
        (tmp_path / "asked.txt").unlink()
        for arguments in asked:
            main(arguments.split())
        return asked

    return run


@pytest.mark.parametrize("way", ["for n in", "sbatch"])
def test_the_lines_of_the_help_make_the_file_and_judge_the_claim(way, study, lines, run_line, tmp_path, capsys):
    (share,) = [line for line in lines if line.startswith(way)]
    (join,) = [line for line in lines if line.startswith("python -m xnb gather")]
    compare = "compare study.py:arguments --path t.parquet --shard"
    assert run_line(share) == [f"{compare} 1/2", f"{compare} 2/2"]
    assert not (tmp_path / "t.parquet").exists()
    run_line(join)
    table = compare_here(tmp_path / "b.parquet")
    assert (tmp_path / "t.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()

    claims = write_claim(tmp_path, "gradient")
    exec("\n".join(lines[lines.index("import pandas") :]), {})
    values = table.pivot(index="image", columns="method", values="value")
    claim = read_claims(claims)["gradient"]
    judged = judge_rows(claim, {"gradient less random": values["gradient"] - values["random"]})
    assert capsys.readouterr().out == f"{judged}\n"


def test_the_help_says_where_numbers_begin(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "shards are numbered from 1, as in --array=1-16" in capsys.readouterr().out
