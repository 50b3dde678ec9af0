"""The text of the package keeps its agreements: few rooms, one meaning a name, one thought a line."""

import ast
import json
import statistics

import nbformat
import pytest
from text_figures import FUNCTION, ROOT, Package, quantile

from xnb import folders

PACKAGE = Package()
# Words that mean nothing to who knows the field, with the field's own.
PRIVATE = {
    "worth": "attribution, relevance, value",
    "told": "described",
    "said": "predicted",
    "given": "what it is",
    "kept": "present",
    "chosen": "choose_..., selected",
    "likeness": "similarity",
    "halvings": "refinements",
}
NOTEBOOK_CELLS = [
    ast.parse(cell.source)
    for path in sorted(folders.NOTEBOOKS.glob("*.ipynb"))
    for cell in nbformat.read(path, 4).cells
    if cell.cell_type == "code"
]


def test_few_rooms():
    assert len(PACKAGE.rooms) <= 20, PACKAGE.rooms


def test_functions_are_short():
    assert statistics.median(PACKAGE.lengths) <= 7
    assert quantile(PACKAGE.lengths, 0.9) <= 21
    assert max(PACKAGE.lengths) <= 40


def test_one_thought_a_line():
    assert PACKAGE.density <= 7.2
    assert quantile(PACKAGE.statements, 0.9) <= 15


def test_large_functions_say_why():
    assert len(PACKAGE.large_without_comment()) <= 5, PACKAGE.large_without_comment()


def test_a_name_is_defined_once():
    assert PACKAGE.homonyms().keys() <= TWICE.keys(), PACKAGE.homonyms()


# One name in several files, and why.
TWICE = {
    "logits": "what a model returns, and the adapter that makes it so",
    "catalog": "methods and metrics, each in its registry",
    "agreement": "the statistic, and its chart",
    "intervals": "the statistic, and its chart",
    "load": "a network by its name, of each of two folders",
    "main": "a command, of each module that is one",
}


def test_no_local_hides_a_name_of_its_file():
    assert PACKAGE.hiding() == []


def test_functions_are_not_named_by_a_bare_participle():
    assert PACKAGE.participles() == []


@pytest.mark.parametrize("word", PRIVATE)
def test_private_words_are_gone(word):
    """As names or parts of names, in the package and in notebooks."""
    names = {
        name
        for tree in [*(file.tree for file in PACKAGE.files), *NOTEBOOK_CELLS]
        for node in ast.walk(tree)
        for name in (getattr(node, "id", None), getattr(node, "name", None), getattr(node, "arg", None))
        if isinstance(name, str) and word in name.split("_")
    }
    assert names == set(), f"say {PRIVATE[word]}"


def mentions(source):
    """Every name, attribute and import of a program, and the ends of its dotted strings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.split(".")[-1]  # monkeypatch.setattr("xnb.room.name", ...)
    yield from imports(source)


def imports(source):
    """Names that a program takes from other files."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def programs():
    """Every program of the repository, with its path; of a notebook, the code of all its cells."""
    for folder in ("xnb", "collection", "benchmarks", "reproduce", "tests"):
        for path in (ROOT / folder).rglob("*.py*"):
            if path.suffix in (".py", ".pyi"):
                yield path, path.read_text()
    for folder in ("notebooks", "app"):
        for path in (ROOT / folder).glob("*.ipynb"):
            cells = json.loads(path.read_text())["cells"]
            lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code").splitlines()
            yield path, "\n".join(line for line in lines if not line.startswith(("%", "!")))


def places_of(find):
    """By name, the files in whose programs `find` finds it."""
    places = {}
    for path, source in programs():
        for name in set(find(source)):
            places.setdefault(name, set()).add(path)
    return places


@pytest.fixture(scope="module")
def mentioned_in():
    return places_of(mentions)


@pytest.fixture(scope="module")
def imported_in():
    return places_of(imports)


def is_entered(function):
    """Whether a decorator puts the function into a registry, where it is found by name."""
    calls = [node.func for node in function.decorator_list if isinstance(node, ast.Call)]
    return any(getattr(call, "id", "") in {"method", "metric"} for call in calls)


@pytest.mark.parametrize("file", PACKAGE.files, ids=lambda file: str(file.path.relative_to(ROOT)))
def test_an_underscore_means_used_in_this_file_only(file, mentioned_in, imported_in):
    for node in file.tree.body:
        if not isinstance(node, FUNCTION | ast.ClassDef):
            continue
        if node.name.startswith("_"):
            users = imported_in.get(node.name, set())
            assert not users, f"{node.name} is imported by {sorted(path.name for path in users)}"
        elif isinstance(node, FUNCTION):  # class names may be seen in tables and drawings of a network
            users = mentioned_in.get(node.name, set()) - {file.path}
            assert users or is_entered(node), f"{node.name} is used in its own file only"
