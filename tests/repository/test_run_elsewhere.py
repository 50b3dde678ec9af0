"""docs/run_elsewhere.md: the cell for Colab, run in a bare environment as it stands on the page, and Binder's files."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution

import pytest
import yaml
from packaging.requirements import Requirement
from test_environment import DECLARED, EXTRAS, LOOSE, PROJECT, PYTHONS, ROOT
from test_wheel_alone import link_distributions, needed

PAGE = (ROOT / "docs" / "run_elsewhere.md").read_text()
(CELL,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
BINDER = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())
POST_BUILD = ROOT / "binder" / "postBuild"
MISSING = {"jaxtyping", "wadler-lindig", "lazy-loader", "torchinfo"}  # what a host of notebooks has no reason to bring
RUN = "import sys; from IPython.core.interactiveshell import InteractiveShell as S; S.instance().run_cell(sys.argv[1])"
USE = """
import torch, torchinfo, xnb
xnb.attribute(None, torch.ones(2, 1, 4, 4), torch.tensor([0, 1]), "random").shape
"""


def repack(name, folder):
    """A wheel of what is installed here, so that nothing is downloaded."""
    found = distribution(name)
    wheel = folder / f"{found.metadata['Name'].replace('-', '_')}-{found.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in found.files:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                archive.write(found.locate_file(file), file)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A stand-in for Colab: a Python with pip, IPython, torch and other large packages, without the small ones."""
    place = tmp_path_factory.mktemp("host")
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    (site,) = (place / "venv").glob("lib/python*/site-packages")
    lines = [*PROJECT["dependencies"], *EXTRAS["notebooks"]]
    link_distributions(site, needed(map(Requirement, lines)) - MISSING - {"pip", "setuptools"})
    (place / "wheels").mkdir()
    for name in (*MISSING, "setuptools"):
        repack(name, place / "wheels")
    return place


@pytest.fixture
def run_cell(host, tmp_path):
    """Run a cell that clones the working tree, in IPython, without a network."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "xnb", source / "xnb", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "docs").mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "docs/colab_setup.py"):
        shutil.copy(ROOT / name, source / name)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", source, *command], check=True)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(host / "wheels"), "PIP_CONFIG_FILE": os.devnull}
    path = f"{host / 'venv' / 'bin'}:{os.environ['PATH']}"
    settings = {"PATH": path, "IPYTHONDIR": str(tmp_path), "HOME": str(tmp_path), **offline}

    def run(cell):
        cell = cell.replace('REPOSITORY = ""', f'REPOSITORY = "file://{source}"')
        command = [host / "venv" / "bin" / "python", "-c", RUN, cell]
        return subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)

    return run


def list_versions(host):
    """By distribution, but for those that the cell is to install."""
    command = [host / "venv" / "bin" / "python", "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line for line in lines if line.split("==")[0].replace("_", "-") not in {*MISSING, "xnb"}}


def test_the_cell_installs_what_is_missing_and_moves_nothing(host, run_cell):
    before = list_versions(host)
    said = run_cell(CELL + USE).stdout
    assert re.search(r"^installed: jaxtyping\S+, lazy-loader\S+, torchinfo\S+, xnb$", said, re.M), said
    assert re.search(r"^ready: torch \d\S+ torchvision \d", said, re.M), said
    assert "torch.Size([2, 1, 4, 4])" in said
    assert list_versions(host) == before
    assert "installed: xnb\n" in run_cell(CELL).stdout  # a second time there is nothing to do


@pytest.fixture
def of_another_version(host):
    """Names under which the host has a release that does not fit, until the test is over."""
    (site,) = (host / "venv").glob("lib/python*/site-packages")
    moved = []

    def put(name, release):
        (there,) = site.glob(f"{name}-*.dist-info")
        aside = site / f"aside-{name}"
        there.rename(aside)
        wrong = site / f"{name}-{release}.dist-info"
        wrong.mkdir()
        (wrong / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n")
        moved.append((aside, there, wrong))

    yield put
    for aside, there, wrong in moved:
        shutil.rmtree(wrong)
        aside.rename(there)


def test_versions_that_do_not_fit_are_refused(of_another_version, run_cell):
    """In the very words that the page shows."""
    of_another_version("torch", "2.9.0+cu126")
    of_another_version("torchvision", "0.24.0+cu126")
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.S)
    said = run_cell(CELL).stdout
    assert shown in said
    assert "installed" not in said.replace(shown, "")


def test_a_pair_of_torch_and_torchvision_that_does_not_import_is_refused(host, run_cell):
    (site,) = (host / "venv").glob("lib/python*/site-packages")
    real = (site / "torchvision").readlink()
    (site / "torchvision").unlink()
    (site / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    said = run_cell(CELL).stdout
    (site / "torchvision.py").unlink()
    (site / "torchvision").symlink_to(real)
    assert "  got: RuntimeError: operator torchvision::nms does not exist\n  try: %pip install " in said


def test_what_cannot_be_found_is_refused(host, run_cell):
    pip = [host / "venv" / "bin" / "python", "-m", "pip", "uninstall", "--quiet", "--yes", "torchinfo"]
    subprocess.run(pip, check=True, capture_output=True)
    (wheel,) = (host / "wheels").glob("torchinfo-*.whl")
    wheel.rename(wheel.with_suffix(".hidden"))
    said = run_cell(CELL).stdout
    wheel.with_suffix(".hidden").rename(wheel)
    assert "pip must find what is missing beside what is there\n  got: ERROR: " in said
    assert "  try: %pip install 'torchinfo>=1.8', then restart" in said


def test_binder_has_the_python_of_the_stored_outputs_and_both_torches_from_one_place():
    python, pip, *torches = map(Requirement, (line.replace("python=", "python==") for line in BINDER["dependencies"]))
    assert (str(python), str(pip)) == (f"python=={PYTHONS[0]}", "pip")
    ranges = {one.name: {str(part) for part in one.specifier if part.operator != "!="} for one in DECLARED}
    asked = {one.name.removesuffix("-cpu").replace("pytorch", "torch"): set(map(str, one.specifier)) for one in torches}
    assert asked == {name: ranges[name] for name in LOOSE}


def test_binder_installs_the_pinned_versions():
    script = POST_BUILD.read_text()
    assert os.access(POST_BUILD, os.X_OK)
    assert subprocess.run(["bash", "-n", POST_BUILD]).returncode == 0
    (extras,) = re.findall(r"--constraint constraints.txt --editable '\.\[(.*)\]'", script)
    assert set(extras.split(",")) <= EXTRAS.keys()


def test_the_page_says_what_was_not_tried():
    assert "**Neither has been tried on the real service**" in PAGE
