import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
DECLARED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]


def specs(lines):
    """Name to versions, for each requirement; a name may come twice only if it says the same."""
    found = {}
    for requirement in map(Requirement, lines):
        assert found.setdefault(requirement.name, requirement.specifier) == requirement.specifier
    return found


def test_conda_brings_python_and_pip_alone():
    """torch and torchvision have to come from one place."""
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]
    *conda, pip = CONDA["dependencies"]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert list(pip) == ["pip"]


def test_environment_equals_pyproject_name_by_name():
    *listed, project = CONDA["dependencies"][-1]["pip"]
    assert project == "-e ."
    assert specs(listed) == specs(DECLARED)
    assert len(listed) == len(specs(DECLARED))


@pytest.mark.parametrize("line", DECLARED, ids=lambda line: Requirement(line).name)
def test_what_is_installed_is_what_is_declared(line):
    requirement = Requirement(line)
    assert requirement.specifier.contains(version(requirement.name))


def test_the_release_whose_cpu_file_breaks_torchvision_is_excluded():
    torch = specs(DECLARED)["torch"]
    assert not torch.contains("2.13.0")
    assert "!=2.13.0" in str(torch)


def test_what_notebooks_depend_on_is_pinned_exactly():
    """Two packages are ranges: a machine with a graphics card brings its own build of them."""
    loose = {name for name, spec in specs(DECLARED).items() if [part.operator for part in spec] != ["=="]}
    assert loose == {"torch", "torchvision"}


def test_every_dependency_says_what_it_is_for():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for index, line in enumerate(lines):
        if line.strip().startswith('"') and line.rstrip().split("#")[0].rstrip().endswith('",'):
            assert "#" in line or lines[index - 1].strip().startswith("#"), line
