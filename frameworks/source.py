"""Functions of these files as text, so that a side whose library is not installed can be read and counted too."""

import ast

from frameworks.torch_side import FOLDER
from xnb.check import require


def read_function(file: str, name: str) -> str:
    """The function's text, without its docstring.

    Raises:
        ValueError: the file has no function of that name.
    """
    text = (FOLDER / file).read_text()
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    require(name in functions, f"source: no function of that name in {file}", name, f"one of {sorted(functions)}")
    function = functions[name]
    lines = text.splitlines()
    first = function.decorator_list[0].lineno if function.decorator_list else function.lineno
    docstring = function.body[0]
    head = lines[first - 1 : docstring.lineno - 1]
    return "\n".join([*head, *lines[docstring.end_lineno : function.end_lineno]])


def count_lines(file: str, *names: str) -> int:
    """Lines of these functions, without docstrings and blank lines."""
    text = "\n".join(read_function(file, name) for name in names)
    return sum(bool(line.strip()) for line in text.splitlines())
