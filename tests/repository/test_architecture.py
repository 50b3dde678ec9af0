"""The shape of the package, as a test."""

import ast
import importlib
import re
import types
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "xnb"
LAYERS = [
    {"types", "check", "folders", "progress"},
    {"storage", "registry", "plot", "data", "scale"},
    {"access"},
    {"models", "methods", "summary"},
    {"training"},
    {"metrics"},
    {"explanation", "insight", "adapters"},
    {"comparison"},
    {"widgets"},
    {"", "__main__"},
]
RANK = {name: level for level, layer in enumerate(LAYERS) for name in layer}
APART = {"plot": {"access", "registry", "models", "methods"}, "metrics": {"methods"}}
FILES = sorted(ROOT.rglob("*.py"))


def module(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def room(name):
    """The part of the house a module belongs to: `methods.gradient` lives in `methods`."""
    return name.split(".")[0]


def imports(path):
    known = {module(file) for file in FILES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "xnb":
            base = node.module.removeprefix("xnb").removeprefix(".")
            for alias in node.names:
                deep = f"{base}.{alias.name}".removeprefix(".")
                yield deep if deep in known else base


def functions():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                yield f"{module(path)}.{node.name}", body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_point_down(path):
    me = module(path)
    for other in imports(path):
        if room(other) == room(me):
            continue
        assert RANK[room(other)] < RANK[room(me)], f"{me} may not import {other}"
        assert room(other) not in APART.get(room(me), set()), f"{me} may not know {other}"


def test_no_import_cycle_inside_a_room():
    arrows = {module(path): set(imports(path)) - {module(path)} for path in FILES}
    while arrows:
        free = {name for name, needs in arrows.items() if not needs & arrows.keys()}
        assert free, f"a cycle among {sorted(arrows)}"
        arrows = {name: needs for name, needs in arrows.items() if name not in free}


@pytest.mark.parametrize("path", FILES, ids=module)
def test_one_place_for_each_hazard(path):
    text = path.read_text()
    nodes = list(ast.walk(ast.parse(text)))
    assert text.count("\n") <= 300
    assert path.name == "hooks.py" or "register_" not in text
    assert path.name == "check.py" or not any(isinstance(node, ast.Raise | ast.Assert) for node in nodes)
    assert not any(alias.name == "*" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names)
    assert path.stem not in {"utils", "helpers", "common", "misc"}


@pytest.mark.parametrize("path", FILES, ids=module)
def test_no_global_seeding(path):
    """`torch.manual_seed` only inside `fork_rng`, which gives the global state back; numpy's never."""
    tree = ast.parse(path.read_text())
    lent = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.With) and any("fork_rng" in ast.unparse(item) for item in block.items)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"np.random.seed", "random.seed", "torch.seed"}
            assert called not in {"torch.manual_seed", "manual_seed"} or id(node) in lent, f"line {node.lineno}"


TESTS = ROOT.parent / "tests"
NAMED_BY_TESTS = {
    name.strip(" .,`")
    for file in TESTS.rglob("test_*.py")
    for line in re.findall(
        r"^Tests: (.*(?:\n(?!\n|\"\"\").*)*)", ast.get_docstring(ast.parse(file.read_text())) or "", re.M
    )
    for name in line.replace("\n", " ").split(",")
}


@pytest.mark.parametrize("path", [path for path in FILES if path.stem != "__init__"], ids=module)
def test_every_module_has_tests(path):
    """A file of its name in the folder that mirrors the room, or one whose docstring says `Tests: xnb.room.module`."""
    place = TESTS / path.relative_to(ROOT).parent
    own = [TESTS / f"test_{path.stem}.py", *place.rglob(f"test_{path.stem}*.py")]
    name = f"xnb.{module(path)}"
    found = any(file.exists() for file in own) or name in NAMED_BY_TESTS
    assert found, (
        f"write {place / f'test_{path.stem}.py'}, or `Tests: {name}` into the docstring of the one that tests it"
    )


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_test_files_are_short(path):
    assert path.read_text().count("\n") <= 300


def test_no_two_test_files_have_one_name():
    """pytest imports them by their names alone: the later one of a name would not run."""
    names = [path.name for path in TESTS.rglob("test_*.py")]
    assert not [name for name, times in Counter(names).items() if times > 1]


PACKAGES = [path.parent for path in FILES if path.name == "__init__.py"]


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: module(folder / "__init__.py") or "xnb")
def test_no_function_hides_a_module_of_its_name(folder):
    """`xnb.compare` once hid the module of that name, and all that was in it."""
    package = importlib.import_module(".".join(folder.relative_to(ROOT.parent).parts))
    for name in [path.stem for path in folder.iterdir() if path.suffix == ".py" and path.stem != "__init__"]:
        assert isinstance(getattr(package, name, package), types.ModuleType), f"{package.__name__}.{name}"
