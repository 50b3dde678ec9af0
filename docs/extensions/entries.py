"""Entries of the API pages: what a room exports, and every method and metric with the facts of its card.

.. room:: xnb.plot      what the docstring of a room says, and an entry for each public name
.. cards:: methods      a section for each family, an entry for each function
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import xnb
from extensions import describe_extension
from xnb.registry import Registry

# by name, with the field of a card that says in which section its function stands
REGISTRIES = {"methods": (xnb.methods.METHODS, "family"), "metrics": (xnb.metrics.METRICS, "category")}
ADDRESSES = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
PAPER = re.compile(r"(arXiv|doi):([^\s,;]+)")


class Room(SphinxDirective):
    """What a module says of itself, and an entry for each of its public names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        room = self.arguments[0]
        module = import_module(room)
        self.env.note_dependency(module.__file__)
        lines = [f".. automodule:: {room}", ""]
        front_door = [] if module is xnb else list_public_names(xnb)
        for name in list_public_names(module):
            value = getattr(module, name)
            if name in front_door and value is getattr(xnb, name):
                lines += [f":py:func:`xnb.{name}` stands at the front door.", ""]  # one entry a function
            else:
                lines += write_entry(f"{room}.{name}", value)
        return self.parse_text_to_nodes("\n".join(lines))


class Cards(SphinxDirective):
    """Every function of a registry, in sections."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        registry, field = REGISTRIES[self.arguments[0]]
        groups: dict[str, list[str]] = {}
        for name, card in registry.cards.items():
            groups.setdefault(getattr(card, field), []).append(name)
        return [self.make_section(group, names, registry) for group, names in groups.items()]

    def make_section(self, group: str, names: list[str], registry: Registry) -> nodes.section:
        lines = []
        for name in names:
            function = registry[name]
            self.env.note_dependency(inspect.getsourcefile(inspect.unwrap(function)))
            lines += write_entry(f"{find_public_module(function)}.{name}", function)
        section = nodes.section(ids=[nodes.make_id(f"family {group}")], names=[group])
        section += nodes.title("", group.capitalize())
        section += self.parse_text_to_nodes("\n".join(lines))
        return section


def find_public_module(function: Callable) -> str:
    """Where a function is taken from: its room, where that has it under its name, or its file."""
    room, _ = function.__module__.rsplit(".", 1)
    handed_on = getattr(import_module(room), function.__name__, None)
    return room if handed_on is function else function.__module__


def list_public_names(module: ModuleType) -> list[str]:
    """What a front file hands on, `from ... import name as name`, or what any other file defines."""
    path = Path(module.__file__)
    stub = path.with_suffix(".pyi")
    tree = ast.parse((stub if stub.exists() else path).read_text())
    if path.name == "__init__.py":
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        return [alias.name for node in imports for alias in node.names if alias.name == alias.asname]
    definitions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [node.name for node in definitions if not node.name.startswith("_")]


def write_entry(name: str, value: object) -> list[str]:
    """The directive for one public name; numbers and lists say nothing of themselves and have none."""
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", ""]
    return [f".. autofunction:: {name}", ""] if inspect.isfunction(value) else []


def write_signature(app: Sphinx, what: str, name: str, value: object, *_: object) -> tuple[str, str] | None:
    """The signature as it is written: its words for shapes stand in types.py."""
    value = inspect.unwrap(value) if callable(value) else value
    if not inspect.isfunction(value) and not inspect.isclass(value):
        return None
    (written,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    if isinstance(written, ast.ClassDef):
        return write_construction(written), ""
    if what == "method":
        del written.args.args[:1]
    return f"({ast.unparse(written.args)})", ast.unparse(written.returns) if written.returns else ""


def write_construction(written: ast.ClassDef) -> str:
    """What makes an object of a class: the arguments of its `__init__`, or the fields of a dataclass or tuple."""
    for node in written.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            del node.args.args[:1]
            return f"({ast.unparse(node.args)})"
    fields = [ast.unparse(node) for node in written.body if isinstance(node, ast.AnnAssign)]
    return f"({', '.join(fields)})" if fields else ""


def mend_docstring(app: Sphinx, what: str, name: str, value: object, _: object, lines: list[str]) -> None:
    """Show indented lines of a module's docstring as they are; add the card of a method or metric."""
    if what == "module":
        lines[:] = mark_literal_blocks(lines)
    for registry, _ in REGISTRIES.values():
        short = name.split(".")[-1]
        if registry.get(short) is value:
            lines += ["", *write_card(registry.cards[short]), ""]


def mark_literal_blocks(lines: list[str]) -> list[str]:
    """Write `::` above blocks that are indented."""
    marked: list[str] = []
    inside = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not inside:
            marked += ["::", ""]
        inside = indented or (inside and not line)
        marked.append(line)
    return marked


def write_card(card: object) -> list[str]:
    """The facts of a card as a field with a list; empty ones are left out."""
    facts = {field: fact if isinstance(fact, str) else ", ".join(fact) for field, fact in vars(card).items()}
    return [":Card:", *(f"    - **{field}** – {link_papers(fact)}" for field, fact in facts.items() if fact)]


def link_papers(text: str) -> str:
    """Make links of what arXiv and doi number."""
    return PAPER.sub(lambda found: f"`{found[0]} <{ADDRESSES[found[1]]}{found[2]}>`__", text)


def setup(app: Sphinx) -> dict[str, bool | int]:
    app.add_directive("room", Room)
    app.add_directive("cards", Cards)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-docstring", mend_docstring, priority=600)  # behind napoleon
    return describe_extension(__file__)
