"""Ready a hosted notebook, such as one of Colab, for this collection, and change nothing that is installed there.

`python docs/colab_setup.py` in the folder of the repository; names after it are further extras of pyproject.toml.
Such a host brings torch, numpy and much else, and a version that changes under a running kernel asks for a restart.
So what is there stays and is compared with the ranges in pyproject.toml; only what is missing is installed.
"""

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OF_THE_HOST = {"jupyterlab", "voila", "ipython", "ipykernel", "nbclient", "nbformat"}  # a host has its own way to show
AGAIN = "then restart the session and run this again"
IMPORT = "import torch, torchvision, xnb; print('torch', torch.__version__, 'torchvision', torchvision.__version__)"


def main(extras: Iterable[str]) -> int:
    """0 for the shell, 1 after a refusal."""
    wanted = requirements(extras)
    outside = [one for one in wanted if not fits(one)]
    if outside:
        got = ", ".join(f"{one.name} {found(one.name)}" for one in outside)
        line = " ".join(f"'{one.name}{one.specifier}'" for one in outside)
        return refuse("what is installed must fit", got, f"%pip install {line}, {AGAIN}")
    return install([one for one in wanted if not found(one.name)]) or import_both()


def requirements(extras: Iterable[str]) -> list[Requirement]:
    """What the package and these extras ask for on this Python, less what every host of notebooks has."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    asked = map(Requirement, lines)
    return [one for one in asked if one.name not in OF_THE_HOST and (one.marker is None or one.marker.evaluate())]


def found(name: str) -> str:
    """The version that is installed, or nothing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def fits(one: Requirement) -> bool:
    """Whether it is missing, which can be helped, or of a version in the range, whatever it was built for."""
    there = found(one.name)
    return not there or one.specifier.contains(there, prereleases=True)


def install(missing: Sequence[Requirement]) -> int:
    """Install what is missing, without moving a version that is there, and the package without its dependencies."""
    names = [f"{one.name}{one.specifier}" for one in missing]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(hold_versions()))
        constraints.flush()
        if names and (said := pip("--constraint", constraints.name, *names)):
            quoted = " ".join(f"'{name}'" for name in names)
            return refuse("pip must find what is missing beside what is there", said, f"%pip install {quoted}, {AGAIN}")
    if said := pip("--no-deps", "--editable", str(ROOT)):
        return refuse("pip must install the package", said, f"%pip install --no-deps --editable {ROOT}")
    say(f"installed: {', '.join([*names, 'xnb'])}")
    return 0


def hold_versions() -> list[str]:
    """Constraints: every version that is there, and those of constraints.txt for what is not."""
    there = {canonicalize_name(one.name): one.version for one in distributions() if one.name}
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    new = [pin for pin in pins if canonicalize_name(Requirement(pin).name) not in there]
    return [*(f"{name}=={release}" for name, release in there.items()), *new]


def pip(*arguments: str) -> str:
    """The last line of what pip complains about, if it fails."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    return last_line(subprocess.run(command, capture_output=True, text=True, check=False))


def import_both() -> int:
    """Import both in a process of its own: builds that came from two places fail here, not in the first notebook."""
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=False)
    if said := last_line(done):
        line = f"%pip install --force-reinstall torch torchvision, {AGAIN}"
        return refuse("torch and torchvision must be of one build", said, line)
    say(f"ready: {done.stdout.strip()}")
    return 0


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Of what a command that failed has to say; nothing of one that did well."""
    lines = done.stderr.strip().splitlines() or ["no message"]
    return lines[-1] if done.returncode else ""


def refuse(rule: str, got: str, line: str) -> int:
    """Print the rule, what was found, and a line to paste."""
    say(f"colab_setup: {rule}\n  got: {got}\n  try: {line}")
    return 1


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(["notebooks", *sys.argv[1:]]))
