"""The text of the package in figures: how long, how dense, how named. `python tests/repository/text_figures.py`."""

import ast
import io
import re
import statistics
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
DOCUMENTED = ast.Module | ast.ClassDef | FUNCTION
STATEMENT = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return | ast.Expr
CONTEXT = ast.Load | ast.Store | ast.Del  # what the parser adds to each name: no part of the text
LARGE = 100  # nodes of a function that needs a comment
PARTICIPLE = re.compile(r"_?[a-z]+(?:ed|wn|ght|pt|ld|aid|een|ept)")


def count_nodes(tree: ast.AST) -> int:
    return sum(not isinstance(node, CONTEXT) for node in ast.walk(tree))


def body_of(function: FUNCTION) -> list[ast.stmt]:
    """The statements below the docstring."""
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def quantile(values: list[int], share: float) -> int:
    return sorted(values)[int(share * (len(values) - 1))]


@dataclass(frozen=True)
class File:
    """One file, parsed once."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def comments(self) -> set[int]:
        """Lines with a comment."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {token.start[0] for token in tokens if token.type == tokenize.COMMENT}

    @cached_property
    def docstring_lines(self) -> set[int]:
        lines: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                lines.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        return lines

    @property
    def code_lines(self) -> int:
        """Lines that are neither blank nor comment nor docstring."""
        return sum(
            bool(line.strip()) and number not in self.docstring_lines and not line.strip().startswith("#")
            for number, line in enumerate(self.text.split("\n"), 1)
        )

    @cached_property
    def functions(self) -> list[FUNCTION]:
        return [node for node in ast.walk(self.tree) if isinstance(node, FUNCTION)]

    @property
    def module_functions(self) -> list[str]:
        return [node.name for node in self.tree.body if isinstance(node, FUNCTION)]

    @cached_property
    def module_names(self) -> set[str]:
        """Functions, classes and imports of the file."""
        names = {node.name for node in self.tree.body if isinstance(node, FUNCTION | ast.ClassDef)}
        for node in self.tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        return names

    def hidden_by(self, function: FUNCTION) -> set[str]:
        """Names of the file that a parameter or local of the function hides."""
        bound = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.add(node.id)
        return bound & self.module_names

    def has_comment(self, function: FUNCTION) -> bool:
        body = body_of(function)
        return bool(self.comments & set(range(body[0].lineno, body[-1].end_lineno + 1)))


@dataclass(frozen=True)
class Package:
    """All files below a folder, and what is asked of their text."""

    root: Path = ROOT / "xnb"

    @cached_property
    def files(self) -> list[File]:
        return [File(path) for path in sorted(self.root.rglob("*.py"))]

    @property
    def rooms(self) -> list[str]:
        """Modules and folders at the top."""
        entries = [path for path in self.root.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
        return sorted(path.stem for path in entries if path.stem not in ("__init__", "__main__"))

    def functions(self) -> Iterator[tuple[File, FUNCTION]]:
        """Every function that has more than a docstring."""
        for file in self.files:
            for function in file.functions:
                if body_of(function):
                    yield file, function

    @cached_property
    def lengths(self) -> list[int]:
        """Lines of each function below its docstring."""
        bodies = [body_of(function) for _, function in self.functions()]
        return [body[-1].end_lineno - body[0].lineno + 1 for body in bodies]

    @cached_property
    def statements(self) -> list[int]:
        """Nodes of each simple statement in a function."""
        return [
            count_nodes(node)
            for _, function in self.functions()
            for node in ast.walk(function)
            if isinstance(node, STATEMENT)
        ]

    @property
    def density(self) -> float:
        """Nodes a line of code."""
        return sum(count_nodes(file.tree) for file in self.files) / sum(file.code_lines for file in self.files)

    @property
    def comment_share(self) -> float:
        return sum(len(file.comments) for file in self.files) / sum(file.code_lines for file in self.files)

    def large_without_comment(self) -> list[str]:
        return [
            f"{file.path.name}: {function.name}"
            for file, function in self.functions()
            if sum(map(count_nodes, body_of(function))) >= LARGE and not file.has_comment(function)
        ]

    def homonyms(self) -> dict[str, list[str]]:
        """Names of module functions that stand in several files; `_name` and `name` are one."""
        places: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            for name in sorted({name.lstrip("_") for name in file.module_functions}):
                places[name].append(str(file.path.relative_to(self.root)))
        return {name: found for name, found in places.items() if len(found) > 1}

    def hiding(self) -> list[str]:
        return [
            f"{file.path.name}: {function.name} hides {sorted(file.hidden_by(function))}"
            for file, function in self.functions()
            if file.hidden_by(function)
        ]

    def participles(self) -> list[str]:
        return [name for file in self.files for name in file.module_functions if PARTICIPLE.fullmatch(name)]

    def one_word_share(self) -> float:
        names = [name for file in self.files for name in file.module_functions]
        return sum("_" not in name.strip("_") for name in names) / len(names)


def print_figures(package: Package) -> None:
    """One figure a line, as in a table of packages side by side."""
    rows = {
        "files / code lines": f"{len(package.files)} / {sum(file.code_lines for file in package.files):,}",
        "rooms at the top": len(package.rooms),
        "functions": len(package.lengths),
        "lines a function, median / p90 / max": " / ".join(
            str(value)
            for value in (
                int(statistics.median(package.lengths)),
                quantile(package.lengths, 0.9),
                max(package.lengths),
            )
        ),
        "nodes a code line": f"{package.density:.1f}",
        "nodes a statement, median / p90": f"{quantile(package.statements, 0.5)} / {quantile(package.statements, 0.9)}",
        "comment lines / code lines": f"{package.comment_share:.1%}",
        f"functions of {LARGE} nodes or more without a comment": len(package.large_without_comment()),
        "names of module functions in several files": len(package.homonyms()),
        "functions that hide a name of their file": len(package.hiding()),
        "module functions named by a bare participle": len(package.participles()),
        "one-word names of module functions": f"{package.one_word_share():.0%}",
    }
    for name, value in rows.items():
        sys.stdout.write(f"{name:55}{value}\n")


if __name__ == "__main__":
    print_figures(Package(Path(sys.argv[1])) if sys.argv[1:] else Package())
