"""Nothing that is read from a file is run, and nothing is written but whole: read off the source of everything."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("xnb", "services", "collection", "reproduce", "benchmarks", "frameworks", "app")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "__pycache__" not in path.parts]
RUNS = {"eval", "exec", "compile", "__import__"}
LOADERS = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CODE = {
    # it creates no objects; tests/data/test_archives.py tries to make it
    "xnb/data/archives.py": ["class _Inspector"],
    # the study of a reader, which is a program: named by the reader to be run
    "xnb/scale/studies.py": ["exec", "compile"],
}
# What a figure or a file is written by; `replace_file` is to be around it, or one of those that are named here.
WRITES = {"write_text", "write_bytes"}
WRITES_OTHERWISE = {
    "xnb/access/memory.py": "a switch of the system in /proc",
    "xnb/data/download.py": "goes on where it broke off, and takes its name when it is whole",
    "xnb/data/cifar.py": "a folder that takes its name when it is whole",
    "xnb/comparison/store.py": "lines that are appended; one that is half written is left out",
    "xnb/training/launching.py": "a log",
    "services/core/replies.py": "in memory",
    "frameworks/tensorflow_side.py": "into a folder that lives as long as the call",
    "frameworks/ask_tensorflow.py": "into a folder that lives as long as the call",
}


def find_code(tree):
    """Calls that run, or may run, what a file holds."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        knobs = {knob.arg: ast.unparse(knob.value) for knob in node.keywords}
        owner, _, name = called.rpartition(".")
        if called in RUNS or (owner in LOADERS and name in {"load", "loads", "Unpickler", "open"}):
            found.append(called)
        if called in {"torch.load", "load_state_dict_from_url"} and knobs.get("weights_only") != "True":
            found.append(f"{called} without weights_only=True")
        if name == "load" and knobs.get("allow_pickle", "False") != "False":
            found.append(f"{called} with allow_pickle")
        if name in {"extractall", "unpack_archive"} or called in {"yaml.load", "pd.read_pickle"}:
            found.append(called)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any("Unpickler" in ast.unparse(base) for base in node.bases):
            found.append(f"class {node.name}")
    return found


def find_writes(tree):
    """Calls that write a file, outside of `replace_file`."""
    inside = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.With) and any("replace_file" in ast.unparse(item) for item in block.items)
        for node in ast.walk(block)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and id(node) not in inside]
    return [ast.unparse(call.func) for call in calls if writes(call)]


def writes(call):
    name = ast.unparse(call.func).rpartition(".")[2]
    modes = [ast.unparse(knob.value) for knob in call.keywords if knob.arg == "mode"]
    modes += [ast.unparse(argument) for argument in call.args[:2]]
    opens = name == "open" and any(mode.strip("'\"")[:1] in "wax" and len(mode) <= 6 for mode in modes)
    owner = ast.unparse(call.func).rpartition(".")[0]
    return opens or (name in WRITES and bool(call.args)) or (name in {"to_parquet", "to_csv", "savez"} and owner != "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_is_run_and_none_is_half_written(path):
    place = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text())
    assert find_code(tree) == CODE.get(place, [])
    assert not find_writes(tree) or place in WRITES_OTHERWISE, "write it within replace_file, or say here why not"


@pytest.mark.parametrize(
    "text",
    [
        *("pickle.load(f)", "torch.load(f)", "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)"),
        *("eval(text)", "exec(path.read_text())", "tar.extractall(folder)", "class A(pickle.Unpickler): pass"),
    ],
)
def test_the_rule_catches(text):
    assert find_code(ast.parse(text))


@pytest.mark.parametrize("text", ["path.write_text(a)", "open(path, 'w')", "path.open('ab')", "np.savez(path, a=a)"])
def test_the_rule_catches_writers(text):
    assert find_writes(ast.parse(text))
    assert not find_writes(ast.parse(f"with replace_file(place) as path:\n    {text}"))
