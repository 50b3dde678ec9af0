"""Where the package refuses or warns with a line to try: found in its source, and in the traceback of a refusal."""

import ast
import traceback
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[2] / "xnb"
# position of the hint among the arguments
HINTS = {"require": 3, "refuse": 2, "warn": 2}


class Site(NamedTuple):
    """A call of `require`, `refuse` or `warn` with a hint.

    Attributes:
        name: module, function, and which of its calls it is, as `access.score.logits 1`.
        path: of the file, within the package.
        first: first and
        last: last line of the call.
    """

    name: str
    path: str
    first: int
    last: int


def list_sites() -> list[Site]:
    """All calls with a hint, in the order of the files."""
    return [site for path in sorted(PACKAGE.rglob("*.py")) if path.name != "check.py" for site in _read_file(path)]


def _read_file(path: Path) -> list[Site]:
    place = path.relative_to(PACKAGE)
    module = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
    sites = []
    for function, calls in _calls_by_function(ast.parse(path.read_text())):
        for number, call in enumerate(calls, 1):
            sites.append(Site(f"{module}.{function} {number}", str(place), call.lineno, call.end_lineno))
    return sites


def _calls_by_function(tree: ast.Module) -> list[tuple[str, list[ast.Call]]]:
    """Calls with a hint, by the innermost function around them."""
    found: dict[str, list[ast.Call]] = {}

    def visit(node: ast.AST, names: tuple[str, ...]) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = (*names, node.name)
        if isinstance(node, ast.Call) and _has_hint(node):
            found.setdefault(".".join(names), []).append(node)
        for child in ast.iter_child_nodes(node):
            visit(child, names)

    visit(tree, ())
    return list(found.items())


def _has_hint(call: ast.Call) -> bool:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name not in HINTS:
        return False
    return len(call.args) > HINTS[name] or any(word.arg == "hint" for word in call.keywords)


def find_site(error: BaseException, sites: list[Site]) -> Site | None:
    """The call that raised a refusal: the innermost frame of the package outside of `check`."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if PACKAGE in path.parents and path.name != "check.py":
            place = str(path.relative_to(PACKAGE))
            return next((s for s in sites if s.path == place and s.first <= frame.lineno <= s.last), None)
    return None
