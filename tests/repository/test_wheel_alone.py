"""The wheel alone, in an environment without the repository: it explains, says what it has not, and is typed."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SETTINGS = {"XNB_CACHE", "XNB_FIGURES", "XNB_TEST_FIGURES", "XDG_CACHE_HOME", "PYTHONPATH"}


def needed(requirements):
    """Names of the distributions that these requirements bring, theirs included."""
    names, waiting = set(), list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in names or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            waiting += map(Requirement, distribution(name).requires or [])
        except PackageNotFoundError:  # for another system
            continue
        names.add(name)
    return names


def link_distributions(site, names):
    """Into another environment's folder of packages."""
    for found in map(distribution, names):
        for top in {Path(file).parts[0] for file in found.files} - {"..", "__pycache__"}:
            link = site / top
            if not link.exists():
                link.symlink_to(found.locate_file(top))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A virtual environment with the wheel of xnb and links to what it declares, and nothing else.

    Its user's home is empty, and so is the folder in which programs run.
    """
    place = tmp_path_factory.mktemp("bare")
    source = place / "source"  # a copy: building leaves files behind
    shutil.copytree(ROOT / "xnb", source / "xnb", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", place]
    subprocess.run([*build, source], check=True, capture_output=True)
    shutil.rmtree(source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    (site,) = (place / "venv").glob("lib/python*/site-packages")
    (wheel,) = place.glob("xnb-*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    link_distributions(site, needed(map(Requirement, PROJECT["dependencies"])))
    for name in ("home", "work"):
        (place / name).mkdir()
    python = place / "venv" / "bin" / "python"
    return SimpleNamespace(python=python, site=site, wheel=wheel, home=place / "home", work=place / "work")


def run(bare, *arguments):
    """What a program says in that environment; an error in it is one of the test."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    environment |= {"HOME": str(bare.home)}
    command = [bare.python, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=bare.work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


EXPLAIN = """
import sys
import torch
import xnb
x = torch.randn(2, 4)
net = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False)).eval()  # a bias would take a share of what LRP keeps
a = xnb.attribute(net, x, torch.tensor([0, 1]), "integrated_gradients")
torch.testing.assert_close(a, x * net[0].weight[:2])
late = {"torchvision", "torch._dynamo", "sklearn", "skimage.metrics", "matplotlib"} & sys.modules.keys()
assert not late, f"loaded before they are used: {late}"
assert xnb.explain(net, x, torch.tensor([0, 1]), ["lrp", "kernel_shap", "random"]).attributions.keys()
part = xnb.data.digits().test[:3]
table = xnb.compare(xnb.models.SmallCNN(1, 10).eval(), part, ["gradient"], ["srg"])
assert len(table) == 21  # of three pictures: the gradient, its magnitude, and five controls
"""


def test_the_package_alone_explains(bare):
    """The wheel without extras: an import that loads nothing heavy before it is used, explanations, a table."""
    run(bare, "-c", EXPLAIN)


def test_every_room_is_in_the_wheel_with_its_types(bare):
    packed = {name for name in zipfile.ZipFile(bare.wheel).namelist() if name.startswith("xnb/")}
    kinds = (".py", ".pyi", "py.typed")
    ours = [path for path in (ROOT / "xnb").rglob("*") if path.name.endswith(kinds) and path.is_file()]
    assert packed == {path.relative_to(ROOT).as_posix() for path in ours}


def test_its_commands_say_what_they_do(bare):
    said = run(bare, "-m", "xnb", "--help")
    assert all(command in said for command in ("compare", "attribute", "gather"))


DATA = """
from inspect import signature
import xnb
made = []
for name in xnb.data.__all__:
    if {"n", "seed"} <= signature(getattr(xnb.data, name)).parameters.keys():
        made.append(getattr(xnb.data, name)(n=(4, 2)).test)
assert len(made) > 4
assert all(len(part) == 2 for part in made)
for make in (xnb.data.digits, xnb.data.patients, xnb.data.photos):
    assert len(make().test) > 0
"""


def test_data_that_is_drawn_or_comes_with_libraries_is_there(bare):
    run(bare, "-c", DATA)


REFUSED = """
import xnb
name = "logistic-patients-0"
try:
    xnb.checkpoints.load(name)
except ValueError as refusal:
    rule, got, line = str(refusal).splitlines()
assert rule.startswith("checkpoints: the trained networks are files of the repository"), rule
assert got == "  got: 'logistic-patients-0'", got
exec(line.removeprefix("  try: "))
patients = xnb.data.patients().test
net = xnb.checkpoints.load(name)
assert (net(patients.x).argmax(1) == patients.y).float().mean() > 0.8
"""


def test_a_network_of_the_repository_is_refused_and_the_line_to_try_trains_it(bare):
    run(bare, "-c", REFUSED)
    assert (bare.home / ".cache/xnb/data/checkpoints/manifest.json").is_file()


PLACES = """
from pathlib import Path
from xnb import folders
assert folders.cache_folder() == Path.home() / ".cache/xnb/data/cache", folders.cache_folder()
assert folders.figure_folder() == Path.cwd() / "figures", folders.figure_folder()
"""


def test_nothing_is_written_among_the_packages(bare):
    run(bare, "-c", PLACES)
    assert {path.name for path in bare.site.iterdir() if path.name in ("data", "figures", "build")} == set()


USER = """
import torch
import xnb

net = torch.nn.Linear(4, 3).eval()
a = xnb.attribute(net, torch.randn(2, 4), torch.tensor([0, 1]), "gradient")
reveal_type(a)
xnb.attribute(net, torch.randn(2, 4), torch.tensor([0, 1]), method=3.5)
xnb.attribute(net, [1.0, 2.0], 0, "gradient")
"""


@pytest.mark.skipif("XNB_TRUST" not in os.environ, reason="mypy reads all of torch: XNB_TRUST=1 runs it")
def test_a_checker_sees_the_types_of_the_installed_package(bare):
    """A wrong argument is found in a user's file, and nothing is said of missing types."""
    (bare.work / "user.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--python-executable", bare.python, "user.py"]
    done = subprocess.run(command, cwd=bare.work, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("user.py:")]
    assert "py.typed" not in done.stdout
    assert 'Revealed type is "torch._tensor.Tensor"' in lines[0]
    assert [line.split(":")[1] for line in lines[1:]] == ["8", "9"]
    assert all("arg-type" in line or "call-overload" in line for line in lines[1:])
