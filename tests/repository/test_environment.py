"""One list of dependencies, and three ways to install them."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
CONTINUOUS = (ROOT / ".ci" / "run").read_text()
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = [
    Requirement(line) for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
]
PINNED = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
LOOSE = {"torch", "torchvision"}  # a machine with a graphics card brings its own build of both
PYTHONS = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if line.startswith("Programming Language")]


def applies(requirement, python=None):
    """Whether a requirement speaks of that Python, or of the one that runs."""
    other = {"python_version": python, "python_full_version": f"{python}.99"} if python else {}
    return not requirement.marker or requirement.marker.evaluate(other)


def test_conda_brings_python_and_pip_alone():
    """torch and torchvision have to come from one place."""
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]
    *conda, pip = CONDA["dependencies"]
    newest = PYTHONS[-1].split(".")
    assert conda == [f"python{PROJECT['requires-python']},<3.{int(newest[1]) + 1}", "pip"]
    assert list(pip) == ["pip"]


def test_conda_and_make_install_everything_pinned():
    everything = f".[{','.join(EXTRAS)}]"
    assert CONDA["dependencies"][-1]["pip"] == ["--constraint constraints.txt", f"--editable {everything}"]
    makefile = (ROOT / "Makefile").read_text().replace("\\\n\t  ", "")
    assert f"--constraint constraints.txt --editable '{everything}'" in makefile


def test_constraints_pin_exactly_what_is_declared():
    assert {pin.name for pin in PINNED} == {requirement.name for requirement in DECLARED} - LOOSE
    assert all([part.operator for part in pin.specifier] == ["=="] for pin in PINNED)


@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_has_one_pin_of_each_dependency_in_its_range(python):
    pins = [pin for pin in PINNED if applies(pin, python)]
    declared = [requirement for requirement in DECLARED if applies(requirement, python)]
    assert len({pin.name for pin in pins}) == len(pins)
    assert {pin.name for pin in pins} == {requirement.name for requirement in declared} - LOOSE
    versions = {pin.name: str(pin.specifier).removeprefix("==") for pin in pins}
    outside = [r for r in declared if r.name in versions and not r.specifier.contains(versions[r.name])]
    assert not outside


def test_the_pythons_are_said_once():
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert f"for version in {' '.join(PYTHONS)}; do" in CONTINUOUS


@pytest.mark.parametrize("requirement", [r for r in (*DECLARED, *PINNED) if applies(r)], ids=str)
def test_what_is_installed_is_what_is_declared(requirement):
    assert requirement.specifier.contains(version(requirement.name))


def test_the_release_whose_cpu_file_breaks_torchvision_is_excluded():
    (torch,) = (requirement.specifier for requirement in DECLARED if requirement.name == "torch")
    assert not torch.contains("2.13.0")
    assert "!=2.13.0" in str(torch)


def test_every_dependency_says_what_it_is_for():
    for line in (ROOT / "pyproject.toml").read_text().splitlines():
        if line.strip().startswith('"') and line.rstrip().split("#")[0].rstrip().endswith('",'):
            assert "#" in line, line
