"""The Chinese pages: notebooks and glossary, made of `docs/zh/*.toml`, where each text has the hash of its English.

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
from glossary_page import read_terms

ROOT = Path(__file__).parents[2]
NOTEBOOKS, CHINESE = ROOT / "notebooks", ROOT / "docs" / "zh"
CELLS = ("title", "summary", "goals", "takeaways")
GLOSSARY = "glossary"
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


def list_notebooks() -> list[str]:
    """Names of all notebooks, by number."""
    return sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


@cache
def read_english(name: str) -> dict[str, list[str]]:
    """By cell, the pieces of a notebook that stand in Chinese too; or the sentences of the glossary."""
    if name == GLOSSARY:
        return {"terms": [term["means"] for term in read_terms()]}
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells}
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


def list_gaps(name: str) -> list[str]:
    """What a notebook, or the glossary, lacks in Chinese: its name, the cell, and the first words of the piece."""
    texts = read_texts(name)
    return [
        f"{name}, cell {cell}: {line}"
        for cell, pieces in read_english(name).items()
        for line in find_gaps(pieces, texts.get(cell, []), read_common())
    ]


def pair_all(name: str) -> list[Pair]:
    """All pieces of a notebook, or of the glossary, that stand in Chinese, in order."""
    texts = read_texts(name)
    cells = read_english(name).items()
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


def write_page(name: str) -> str:
    """The Chinese page of a notebook: its title, a link to it, and the rest of the four cells."""
    title, *rest = [pair.zh for pair in pair_all(name)]
    links = [
        f"[英文笔记本：全文、代码、图和输出](../../notebooks/{name}.ipynb)",
        "[中文目录](index.md)",
        "[术语表](glossary.md)",
    ]
    moved = [LINK.sub(lambda link: f"]({move_link(link[1])})", piece) for piece in rest]
    return f"{title}\n\n{' · '.join(links)}\n\n{join_pieces(moved)}\n"


def write_glossary() -> str:
    """The glossary in Chinese: each word with its meaning and the cell that explains it."""
    means = {pair.english: pair.zh for pair in pair_all(GLOSSARY)}
    page = "# 术语表\n\n各个笔记本用到的词，以及解释它或用到它的单元格。[中文目录](index.md)\n\n"
    page += "| 英文 | 中文 | 意思 | 见 |\n|---|---|---|---|\n"
    for english, term in zip(read_english(GLOSSARY)["terms"], read_terms(), strict=True):
        file, cell = term["cell"].split("#")
        link = f"[{file[:2]} {cell}](../../notebooks/{file}#{cell})"
        page += f"| {term['term']} | {term['zh']} | {means.get(english, '')} | {link} |\n"
    return page


def read_titles() -> dict[str, str]:
    """What each notebook asks, in Chinese, by the name of its file."""
    return {name: read_texts(name)["title"][0].zh.split("· ", 1)[1] for name in list_notebooks()}


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


def write_pages() -> dict[Path, str]:
    """Every page that is made, with its text."""
    index = CHINESE / "index.md"
    books = {CHINESE / f"{name}.md": write_page(name) for name in list_notebooks()}
    return books | {index: with_order(index.read_text()), CHINESE / "glossary.md": write_glossary()}


if __name__ == "__main__":
    for place, text in write_pages().items():
        place.write_text(text)
    print("\n".join(line for name in [*list_notebooks(), GLOSSARY] for line in list_gaps(name)) or "Nothing is stale.")
