"""The Makefile, with a stand-in for Python that notes what it is asked to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGE = {"websocket_max_message_size": 200_000_000}  # so that large files arrive, and are refused in words
STAND_IN = """#!/bin/sh
case "$*" in
  --version) echo Python 3.10.2 ;;
  *version_info*) test ! -e too-old ;;
  *venv*) for folder; do :; done; mkdir -p $folder/bin; cp "$0" $folder/bin/python ;;
  *pip*) echo "$*" >> pip.log; test ! -e no-network ;;
  *) echo "python $*" ;;
esac
"""


@pytest.fixture
def make(tmp_path):
    (tmp_path / "frameworks").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "frameworks/requirements-tensorflow.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "python").write_text(STAND_IN)
    (tmp_path / "python").chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if "MAKE" not in name}  # this may be `make test` itself

    def run(*arguments):
        command = ["make", "PYTHON=./python", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True)

    return run


def installations(folder):
    log = folder / "pip.log"
    return log.read_text().splitlines() if log.exists() else []


def test_installs_when_needed_and_only_then(make, tmp_path):
    assert "some minutes" in make("figures").stdout
    assert make("figures").stdout == "python -m collection.runner figures\n"
    pinned = "--constraint constraints.txt --editable .[notebooks,peers,keras,serve,test,site]"
    assert installations(tmp_path) == [f"-m pip install --quiet --disable-pip-version-check {pinned}"]
    later = (tmp_path / ".venv" / "installed").stat().st_mtime + 1
    os.utime(tmp_path / "pyproject.toml", (later, later))
    assert make("refresh").returncode == 0
    assert len(installations(tmp_path)) == 2


def test_an_installation_that_broke_off_is_done_again(make, tmp_path):
    (tmp_path / "no-network").touch()
    assert make("lab").returncode != 0
    (tmp_path / "no-network").unlink()
    assert make("lab").returncode == 0
    assert len(installations(tmp_path)) == 2


def test_tensorflow_is_installed_apart_and_again_where_it_broke_off(make, tmp_path):
    assert make("figures").returncode == 0
    (tmp_path / "no-network").touch()
    assert make("tensorflow").returncode != 0
    (tmp_path / "no-network").unlink()
    assert make("tensorflow").stdout.splitlines()[-1] == "python -m frameworks.record"
    assert make("tensorflow").stdout == "python -m frameworks.record\n"
    apart = "--requirement frameworks/requirements-tensorflow.txt"
    assert installations(tmp_path)[1:] == [f"-m pip install --quiet --disable-pip-version-check {apart}"] * 2
    assert (tmp_path / ".venv-tensorflow" / "installed").exists()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["figures"], "collection.runner figures"),
        (["figures", "NOTEBOOK=02", "FORCE=1"], "collection.runner figures --notebook 02 --force"),
        (
            ["figures", "PROFILE=paper", "DATASET=my data"],
            "collection.runner figures --profile paper --dataset my data",
        ),
        (["app", "APP_ARGS=--port=9000"], f"voila app/explorer.ipynb --Voila.tornado_settings={LARGE} --port=9000"),
        (["serve-flask"], "services.serve_flask --port 8000"),
        (["serve-django", "PORT=9000", "SERVE_ARGS=--host=::"], "services.serve_django --port 9000 --host=::"),
        (["reproduce", "TABLE=T2 T1", "DATA=my data"], "reproduce T2 T1 --data my data"),
        (["refresh", "NOTEBOOK=00"], "collection.runner refresh --notebook 00"),
        (["refresh", "PROFILE=paper"], "collection.runner refresh --profile paper"),
        (["lab", "LAB_ARGS=--port=9000"], "jupyterlab --LabApp.default_url=/lab/tree/notebooks --port=9000"),
    ],
)
def test_options_reach_the_program(arguments, command, make):
    assert make(*arguments).stdout.splitlines()[-1] == f"python -m {command}"


def test_an_old_python_is_refused(make, tmp_path):
    (tmp_path / "too-old").touch()
    done = make("test")
    assert done.returncode != 0
    assert done.stderr.startswith(
        "make: Python must be 3.11 or later\n  got: ./python is Python 3.10.2\n  try: make PYTHON=python3.11\n"
    )
    assert not (tmp_path / ".venv").exists()


def test_help_names_every_command(make):
    commands = {line.split()[1] for line in make().stdout.splitlines() if line.startswith("make ")}
    assert commands == {
        *(
            "figures",
            "lab",
            "app",
            "site",
            "test",
            "bench",
            "bench-serve",
            "models",
            "reproduce",
            "tensorflow",
            "refresh",
            "lint",
            "clean",
        ),
        *("serve-flask", "serve-django"),
    }


def test_continuous_integration_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    assert script.read_text().endswith("make test\n")
