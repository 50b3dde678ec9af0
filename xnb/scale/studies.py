"""Studies by name: a function that every process finds and calls for itself, where objects cannot be handed over."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from sys import modules
from types import ModuleType
from typing import Any

from xnb.check import find_entry, refuse, require

_HINT = 'name a function without arguments as "study.py:make" or "package.module:make"'


def load_study(name: str) -> Callable[[], Any]:
    """Return the function that `"path/to/study.py:function"` or `"package.module:function"` names.

    A file is run anew at each call, so what was changed in it counts. What stands beside it is found only where its
    folder is on the path of modules, as the folder is in which a program or notebook was started.

    Raises:
        ValueError: the name is no such pair, or there is no such file, module or function.
    """
    place, _, function = name.rpartition(":")
    rule = "study: a file or module, a colon and a function must name it"
    require(bool(place and function), rule, name, _HINT)
    module = _run_file(Path(place)) if place.endswith(".py") else _import_module(place)
    named = {f"{place}:{key}": value for key, value in vars(module).items() if callable(value)}
    return find_entry(named, name, "study: the file or module must define the function")


def _run_file(path: Path) -> ModuleType:
    """Return the module that a file is, run now: not as it was when Python last compiled it."""
    require(path.is_file(), "study: there must be such a file", str(path), _HINT)
    module = ModuleType(f"xnb_study_{path.stem}")
    module.__file__ = str(path)
    # Dataclasses and pickle look a class up by the name of its module.
    modules[module.__name__] = module
    exec(compile(path.read_bytes(), path, "exec"), vars(module))
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        refuse("study: there must be such a module", f"{name}: {error}", _HINT)
