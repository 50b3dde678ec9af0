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

    def run(*arguments, **variables):
        command = ["make", "PYTHON=./python", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=clean | variables, capture_output=True, text=True)

    return run


def installations(folder):
    log = folder / "pip.log"
    return log.read_text().splitlines() if log.exists() else []


def test_installs_when_needed_and_only_then(make, tmp_path):
    assert "some minutes" in make("figures").stdout
    assert make("figures").stdout == "python -m collection.runner figures\n"
    pinned = "--constraint constraints.txt --editable .[notebooks,peers,keras,serve,scale,test,site]"
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
        (["refresh", "PROFILE=paper", "NEW=1"], "collection.runner refresh --profile paper --new"),
        (["stale"], "collection.stamps"),
        (["lab", "LAB_ARGS=--port=9000"], "jupyterlab --LabApp.default_url=/lab/tree/notebooks --port=9000"),
    ],
)
def test_options_reach_the_program(arguments, command, make):
    assert make(*arguments).stdout.splitlines()[-1] == f"python -m {command}"


@pytest.mark.parametrize(
    ("arguments", "options"),
    [([], "--number 300 --seed 0"), (["N=20", "SEED=3", "MUTANTS_ARGS=--again"], "--number 20 --seed 3 --again")],
)
def test_a_sample_of_mutants_has_a_number_and_a_seed(arguments, options, make):
    assert make("mutants", *arguments).stdout.splitlines()[-1].strip() == f"python tests/trust/mutants.py {options}"


def test_an_old_python_is_refused(make, tmp_path):
    (tmp_path / "too-old").touch()
    done = make("test")
    assert done.returncode != 0
    assert done.stderr.startswith(
        "make: Python must be 3.11 or later\n  got: ./python is Python 3.10.2\n  try: make PYTHON=python3.11\n"
    )
    assert not (tmp_path / ".venv").exists()


@pytest.fixture
def with_pyenv(tmp_path):
    """Variables under which pyenv has two releases of Python 3.99, and a name on the path that only says so."""
    for release in ("3.99.9", "3.99.10"):
        place = tmp_path / "pyenv" / "versions" / release / "bin"
        place.mkdir(parents=True)
        (place / "python3.99").write_text(STAND_IN.replace('"python $*"', f'"python {release} $*"'))
        (place / "python3.99").chmod(0o755)
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "pyenv").write_text(f"#!/bin/sh\necho {tmp_path / 'pyenv'}\n")
    (shims / "python3.99").write_text("#!/bin/sh\necho 'pyenv: python3.99: command not found' >&2; exit 127\n")
    for shim in shims.iterdir():
        shim.chmod(0o755)
    return {"PATH": f"{shims}:{os.environ['PATH']}"}


def test_another_python_is_found_in_pyenv_and_has_its_own_environment(make, with_pyenv, tmp_path):
    assert make("figures").stdout.endswith("python -m collection.runner figures\n")
    done = make("figures", "PYTHON=python3.99", **with_pyenv)
    assert done.stdout.splitlines() == [
        "Installing into .venv-3.99/: once, some minutes, as torch is large.",
        "python 3.99.10 -m collection.runner figures",
    ]
    assert make("figures", "PYTHON=python3.99", **with_pyenv).stdout == "python 3.99.10 -m collection.runner figures\n"
    assert (tmp_path / ".venv" / "installed").exists()


def test_the_python_of_venv_is_not_installed_twice(make, tmp_path):
    (tmp_path / "python3.98").write_text(STAND_IN)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").write_text("#!/bin/sh\necho 3.98\n")
    for file in (tmp_path / "python3.98", tmp_path / ".venv" / "bin" / "python"):
        file.chmod(0o755)
    assert "Installing into .venv/" in make("figures", "PYTHON=./python3.98").stdout
    assert not (tmp_path / ".venv-3.98").exists()


@pytest.mark.parametrize(
    ("name", "advice"), [("python3.97", "pyenv install 3.97"), ("no-python", "make PYTHON=python3")]
)
def test_a_python_that_is_not_there_is_refused(name, advice, make, with_pyenv, tmp_path):
    done = make("test", f"PYTHON={name}", **with_pyenv)
    assert done.returncode != 0
    got = f"  got: {name}, which is neither on the path nor one of pyenv's\n  try: {advice}\n"
    assert done.stderr.startswith(f"make: PYTHON must name a Python that is installed\n{got}")
    assert not list(tmp_path.glob(".venv*"))


def test_clean_leaves_every_environment(make, tmp_path):
    for place in (".venv/lib", ".venv-3.99/lib", "xnb"):
        (tmp_path / place / "__pycache__").mkdir(parents=True)
    assert make("clean").returncode == 0
    assert {path.parts[-3] for path in tmp_path.rglob("__pycache__")} == {".venv", ".venv-3.99"}


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
            "bench-relatives",
            "bench-scale",
            "bench-accelerator",
            "bench-serve",
            "models",
            "cifar10",
            "reproduce",
            "tensorflow",
            "refresh",
            "stale",
            "lint",
            "contracts",
            "trust",
            "fuzz",
            "plain",
            "mutants",
            "accelerator",
            "clean",
        ),
        *("serve-flask", "serve-django"),
    }


def test_continuous_integration_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    assert "\nmake test\n" in script.read_text()
    assert subprocess.run(["bash", "-n", script]).returncode == 0


@pytest.mark.parametrize(
    ("found", "free", "expected"),
    [
        ("/usr/bin/python3.13", 50, "make contracts PYTHON=python3.13"),
        ("/usr/bin/python3.13", 3, "Python 3.13 needs an environment of 8 GB, and 3 GB are free"),
        ("", 50, "Python 3.13 is neither on the path"),
    ],
)
def test_continuous_integration_asks_another_python(found, free, expected, tmp_path):
    """With stand-ins for everything that it calls."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    say = f'#!/bin/sh\ncase "$*" in *interpreter*) echo {found} ;; *) echo "make $*" ;; esac\n'
    room = f"#!/bin/sh\necho Avail\necho ' {free}'\n"
    for name, script in {"make": say, "df": room, "chromium": "#!/bin/sh\n", "git": "#!/bin/sh\n"}.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    clean = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "XNB_OTHER_PYTHON": "3.13"}
    clean.pop("PYTHON", None)
    done = subprocess.run([tmp_path / ".ci" / "run"], env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, tensorflow, everything, last = done.stdout.splitlines()
    assert (tensorflow, everything) == ("make tensorflow-environment", "make test")
    assert last.startswith(expected)
