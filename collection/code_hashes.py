"""Hashes of Python code by what it does: comments, docstrings and formatting do not count."""

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

# Fields of syntax trees that change nothing that runs; some Pythons fill them and others do not.
_SILENT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_DIGITS = 16  # of SHA-256: two programs with the same ones will not meet

Syntax: TypeAlias = str | list["Syntax"] | dict[str, "Syntax"] | None


def hash_notebook(notebook: NotebookNode) -> str:
    """Hash of the notebook's code cells in their order; words, outputs and ids do not count."""
    to_python = TransformerManager()  # `%magic` lines become calls, as in the kernel
    return hash_programs(to_python.transform_cell(cell.source) for cell in notebook.cells if cell.cell_type == "code")


def hash_package(root: Path) -> str:
    """Hash of all programs of the package below `root`, with their places."""
    paths = sorted((root / "xnb").rglob("*.py"))
    places = [path.relative_to(root).as_posix() for path in paths]
    programs = [path.read_text(encoding="utf-8") for path in paths]
    return hash_text(json.dumps([places, hash_programs(programs)]))


def hash_programs(sources: Iterable[str]) -> str:
    """Hash of the syntax of programs in their order, the same on every Python that reads them."""
    trees = [_describe(ast.parse(source)) for source in sources]
    return hash_text(json.dumps(trees, sort_keys=True))


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _describe(node: object) -> Syntax:
    """A syntax tree as lists and names. Not `ast.dump`: it writes the same tree otherwise on another Python."""
    if isinstance(node, list):
        return [_describe(each) for each in node]
    if isinstance(node, ast.Constant):
        return ["Constant", repr(node.value)]
    if not isinstance(node, ast.AST):
        return node if node is None else str(node)
    fields = {}
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, _WITH_DOCSTRING):
            value = _leave_docstring_out(value)
        if name == "values" and isinstance(node, ast.JoinedStr):
            # Python 3.12 ends some f-strings with an empty text
            value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
        # what is empty is a field that an older Python lacks
        if name not in _SILENT and value is not None and value != []:
            fields[name] = _describe(value)
    return [type(node).__name__, fields]


def _leave_docstring_out(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements without one that is only a text at their beginning."""
    first = body[0] if body else None
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
        return body
    return body[1:] if isinstance(first.value.value, str) else body
