"""The map of the package, read off its docstrings. `python tests/repository/house_map.py` writes it into the texts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- map: begin -->\n", "<!-- map: end -->"


def first_line(path: Path) -> str:
    """The sentence that says what a file is for."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]


def rooms(package: Path) -> Iterator[tuple[str, Path]]:
    """The modules and folders of a package, `access/` for a folder, with the file whose docstring counts."""
    for path in sorted(package.iterdir()):
        if (path / "__init__.py").exists():
            yield f"{path.name}/", path / "__init__.py"
        elif path.suffix == ".py" and not path.stem.startswith("__"):
            yield path.stem, path


def tree(package: Path = ROOT / "xnb", depth: int = 0) -> Iterator[str]:
    """One line a room, and one line a file within it."""
    for name, path in rooms(package):
        yield f"{'    ' * depth}{name:{28 - 4 * depth}}{first_line(path)}"
        if name.endswith("/"):
            yield from tree(path.parent, depth + 1)


def with_map(text: str) -> str:
    """The text of ARCHITECTURE.md, with the map between its marks."""
    lines = "\n".join(["xnb/", *("    " + line for line in tree())])
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}```\n{lines}\n```\n{END}", text, flags=re.S)


if __name__ == "__main__":
    page = ROOT / "ARCHITECTURE.md"
    page.write_text(with_map(page.read_text()))
