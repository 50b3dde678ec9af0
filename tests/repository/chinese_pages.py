"""The Chinese pages of the notebooks, made of `docs/zh/*.toml`, where each text carries the hash of its English.

`python tests/repository/chinese_pages.py` writes the pages anew, and names every text that is stale or missing.
"""

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
NOTEBOOKS, CHINESE = ROOT / "notebooks", ROOT / "docs" / "zh"
CELLS = ("title", "summary", "goals", "takeaways")
COMMON = "common"  # the file of what many notebooks say alike, such as the heads of their tables
DIVIDER = re.compile(r"\|[\s:|-]+\|")
LINK = re.compile(r"\]\(([^)\s]+)\)")
BEGIN, END = "<!-- notebooks: begin -->\n", "<!-- notebooks: end -->"


@dataclass(frozen=True)
class Text:
    """The Chinese of one piece of a cell, and the hash of the English that it was written for."""

    source: str
    zh: str


@dataclass(frozen=True)
class Pair:
    """A piece of a cell, and its Chinese."""

    english: str
    zh: str


def split_pieces(markdown: str) -> list[str]:
    """Headings, paragraphs, items of lists and rows of tables, each on one line, their marks included."""
    pieces = []
    for block in re.split(r"\n\s*\n", markdown.strip()):
        for number, line in enumerate(block.splitlines()):
            if DIVIDER.fullmatch(line.strip()):
                continue
            if number == 0 or line.startswith(("- ", "|")):
                pieces.append(line)
            else:
                pieces[-1] += " " + line
    return [" ".join(piece.split()) for piece in pieces]


def hash_piece(english: str) -> str:
    """Twelve digits that change when a letter of the piece does."""
    return hashlib.sha256(english.encode()).hexdigest()[:12]


def read_english(path: Path) -> dict[str, list[str]]:
    """By cell, the pieces of a notebook that stand in Chinese too."""
    cells = {cell.id: cell.source for cell in nbformat.read(path, 4).cells}
    return {name: split_pieces(cells[name]) for name in CELLS}


@cache
def read_texts(name: str) -> dict[str, list[Text]]:
    """By cell, the texts of a file in `docs/zh/`; none where there is no such file."""
    path = CHINESE / f"{name}.toml"
    cells = tomllib.loads(path.read_text()) if path.exists() else {}
    return {cell: [Text(**text) for text in texts] for cell, texts in cells.items()}


def read_common() -> dict[str, str]:
    """Chinese by hash, of what many notebooks say alike."""
    return {text.source: text.zh for texts in read_texts(COMMON).values() for text in texts}


def match_texts(hashes: list[str], texts: list[Text]) -> tuple[dict[str, Text], list[Text]]:
    """By hash of a piece its text, or the stale one in its place, as the order tells; and texts that are left over."""
    found, left = {}, []
    steps = SequenceMatcher(None, [text.source for text in texts], hashes, autojunk=False).get_opcodes()
    for _, a, b, c, d in steps:
        found |= dict(zip(hashes[c:d], texts[a:b], strict=False))
        left += texts[a + d - c : b]
    return found, left


def pair_pieces(pieces: list[str], texts: list[Text], common: dict[str, str]) -> list[Pair]:
    """The pieces of a cell that have a text, with it. A stale text stays on its page until there is a new one."""
    own = [hash_piece(piece) for piece in pieces if hash_piece(piece) not in common]
    chinese = common | {key: text.zh for key, text in match_texts(own, texts)[0].items()}
    return [Pair(piece, chinese[hash_piece(piece)]) for piece in pieces if hash_piece(piece) in chinese]


def find_gaps(pieces: list[str], texts: list[Text], common: dict[str, str]) -> Iterator[str]:
    """A line for each text that is stale, missing or left over."""
    wanted = {hash_piece(piece): " ".join(piece.split()[:8]) for piece in pieces if hash_piece(piece) not in common}
    found, left = match_texts(list(wanted), texts)
    for key, words in wanted.items():
        if key not in found:
            yield f'missing: "{words}", source = "{key}"'
        elif found[key].source != key:
            yield f'stale: "{words}", the Chinese is of {found[key].source}, the English is now {key}'
    yield from (f"left over: {text.source}, {text.zh[:20]}" for text in left)


def list_gaps(path: Path) -> list[str]:
    """What a notebook lacks in Chinese: notebook, cell, and the first words of the piece."""
    texts = read_texts(path.stem)
    return [
        f"{path.stem}, cell {cell}: {line}"
        for cell, pieces in read_english(path).items()
        for line in find_gaps(pieces, texts.get(cell, []), read_common())
    ]


def pair_notebook(path: Path) -> list[Pair]:
    """All pieces of a notebook that stand in Chinese, in order."""
    texts = read_texts(path.stem)
    cells = read_english(path).items()
    return [pair for cell, pieces in cells for pair in pair_pieces(pieces, texts.get(cell, []), read_common())]


def read_facts(piece: str) -> dict[str, Counter[str]]:
    """What no translation may change: links, code, formulas, numbers and words of verdicts, each as often."""
    facts = {"links": Counter(LINK.findall(piece))}
    rest = LINK.sub("]", piece)
    for name, pattern in (("code", r"`[^`]+`"), ("formulas", r"\$[^$]+\$")):
        facts[name] = Counter(re.findall(pattern, rest))
        rest = re.sub(pattern, " ", rest)
    facts["numbers"] = Counter(re.findall(r"[−-]?\d+(?:,\d{3})*(?:\.\d+)?", rest))
    facts["verdicts"] = Counter(re.findall(r"THEOREM|SUPPORTED|NOT REFUTED|REFUTED|OPEN", rest))
    return facts


def move_link(target: str) -> str:
    """A link of a notebook as it reads from `docs/zh/`: to the Chinese page of a notebook, else to the file."""
    if target.startswith("http"):
        return target
    if target.startswith("../"):
        return f"../{target}"
    return target.replace(".ipynb", ".md")


def join_pieces(pieces: list[str]) -> str:
    """Markdown again: rows and items under each other, all else apart, a divider below the head of a table."""
    page, before = "", ""
    for piece in pieces:
        kind = piece[0]
        page += ("\n" if kind == before and kind in "|-" else "\n\n") + piece
        if kind == "|" != before:
            columns = len(re.findall(r"(?<!\\)\|", piece)) - 1
            page += "\n|" + "---|" * columns
        before = kind
    return page.strip()


def write_page(path: Path) -> str:
    """The Chinese page of a notebook: its title, a link to it, and the rest of the four cells."""
    title, *rest = [pair.zh for pair in pair_notebook(path)]
    way = f"[英文笔记本：全文、代码、图和输出](../../notebooks/{path.name}) · [中文目录](index.md)"
    moved = [LINK.sub(lambda link: f"]({move_link(link[1])})", piece) for piece in rest]
    return f"{title}\n\n{way}\n\n{join_pieces(moved)}\n"


def read_titles() -> dict[str, str]:
    """What each notebook asks, in Chinese, by the name of its file."""
    texts = {path.stem: read_texts(path.stem)["title"][0].zh for path in list_notebooks()}
    return {name: title.split("· ", 1)[1] for name, title in texts.items()}


def order_rows() -> Iterator[str]:
    """Notebooks in the order of the table in `README.zh-CN.md`: title, minutes of reading, level, what comes before."""
    titles = read_titles()
    yield "| 笔记本 | 阅读 | 难度 | 先读 |\n|---|---|---|---|"
    for line in (ROOT / "README.zh-CN.md").read_text().splitlines():
        if name := re.match(r"\| \[(\d\d_\w+)\]", line):
            _, _, minutes, _, level, before, *_ = line.strip("| ").split(" | ")
            yield f"| [{name[1][:2]} · {titles[name[1]]}]({name[1]}.md) | {minutes} | {level} | {before} |"


def with_order(text: str) -> str:
    """The front page, with the table of notebooks between its marks."""
    rows = "\n".join(order_rows())
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{rows}\n\n{END}", text, flags=re.S)


def list_notebooks() -> list[Path]:
    """All notebooks, by number."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def write_pages() -> dict[Path, str]:
    """Every page that is made, with its text."""
    index = CHINESE / "index.md"
    books = {CHINESE / f"{path.stem}.md": write_page(path) for path in list_notebooks()}
    return books | {index: with_order(index.read_text())}


if __name__ == "__main__":
    for place, text in write_pages().items():
        place.write_text(text)
    print("\n".join(line for path in list_notebooks() for line in list_gaps(path)) or "Nothing is stale.")
