"""ARCHITECTURE.md, CONTRIBUTING.md, CHANGELOG.md, CITATION.cff and forms for issues say what is there."""

import re

import pytest
import yaml
from house_map import ROOT, first_line, rooms, with_map

import xnb

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = {"ARCHITECTURE.md": ARCHITECTURE, "CONTRIBUTING.md": CONTRIBUTING}
KINDS = ["method", "metric", "data set", "model", "widget", "checkpoint", "benchmark row", "notebook", "page"]


def test_the_map_is_that_of_the_docstrings():
    assert with_map(ARCHITECTURE) == ARCHITECTURE, "python tests/repository/house_map.py writes it anew"


def test_the_package_carries_the_map():
    """`help(xnb)` shows every room with the beginning of its first line."""
    lines = dict(re.findall(r"^    (\w+)  +(\S.*)$", xnb.__doc__, re.M))
    sentences = {name.rstrip("/"): first_line(path) for name, path in rooms(ROOT / "xnb")}
    assert lines.keys() == sentences.keys()
    for name, line in lines.items():
        assert sentences[name].startswith(line.rstrip(".")), f"{name}: xnb.__doc__ and the docstring of the room differ"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    for name in set(re.findall(r"`([\w./-]+/[\w.-]*|[\w-]+\.(?:py|md|toml|txt|cff))`", PAGES[page])):
        assert (ROOT / name).exists() or name.startswith(("build/", "data/cache/")), name  # a clean clone has neither


def test_contributing_has_every_kind_of_addition():
    assert re.findall(r"^## Add an? (.*)$", CONTRIBUTING, re.M) == KINDS
    for section in CONTRIBUTING.split("\n## Add ")[1:]:
        assert "\nFound by: " in section, section.splitlines()[0]


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == xnb.__version__
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == xnb.__version__


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_a_form_for_issues_can_be_read(path):
    form = yaml.safe_load(path.read_text())
    if path.stem == "config":
        assert form["blank_issues_enabled"]
        return
    assert form["name"]
    assert form["description"]
    assert any(part["validations"]["required"] for part in form["body"])
