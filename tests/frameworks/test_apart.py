"""What stands around the two sides: processes that may die, functions as text, a stopwatch.

Tests: frameworks.ask_tensorflow, frameworks.coexistence, frameworks.source, frameworks.stopwatch,
    frameworks.timing_torch, frameworks.timing_tensorflow
"""

import ast
import sys

import pytest
import torch

from frameworks import coexistence, source, stopwatch, timing_torch
from frameworks.torch_side import FOLDER

OTHER_SIDE = ["tensorflow_side", "explain_tensorflow", "debugging_tensorflow", "timing_tensorflow"]
SHARED = ["__init__", "convert", "keras_networks", "planted", "stopwatch"]


@pytest.mark.parametrize("name", [*OTHER_SIDE, *SHARED])
def test_the_other_side_imports_neither_torch_nor_xnb(name):
    nodes = list(ast.walk(ast.parse((FOLDER / f"{name}.py").read_text())))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not {module.split(".")[0] for module in modules} & {"torch", "xnb", "torchvision"}
    ours = {module.split(".")[1] for module in modules if module.startswith("frameworks.")}
    assert ours <= {*OTHER_SIDE, *SHARED}


def test_tensorflow_is_not_imported_here():
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(("lines", "code"), [(["pass"], 0), (["import os", "os.abort()"], -6)])
def test_a_process_that_dies_leaves_its_signal(lines, code):
    assert coexistence.run_lines(lines) == code


def test_functions_are_read_without_docstrings():
    text = source.read_function("torch_side.py", "gradient")
    assert text.startswith("def gradient(")
    assert '"""' not in text
    assert source.count_lines("torch_side.py", "gradient") == 6


def test_a_function_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="source: no function of that name"):
        source.read_function("torch_side.py", "nothing")


def test_the_first_call_is_timed_apart():
    calls = []
    times = stopwatch.time_calls(lambda: calls.append(0))
    assert len(calls) == stopwatch.ROUNDS + 1
    assert times.keys() == {"first", "median"}


def test_threads_come_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), timing_torch.use_threads(before + 1):
        raise RuntimeError
    assert torch.get_num_threads() == before
