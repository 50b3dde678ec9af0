"""The Chinese pages say what the notebooks say now."""

import re

import pytest
from chinese_pages import (
    CHINESE,
    GLOSSARY,
    ROOT,
    Text,
    find_gaps,
    hash_piece,
    join_pieces,
    list_gaps,
    list_notebooks,
    move_link,
    pair_all,
    pair_pieces,
    read_facts,
    read_titles,
    split_pieces,
    write_pages,
)

NOTEBOOKS = list_notebooks()
TOLD = [*NOTEBOOKS, GLOSSARY]
PAGES = write_pages()
GLOSSES = {"THEOREM": "定理", "SUPPORTED": "支持", "NOT REFUTED": "未被否定", "REFUTED": "被否定", "OPEN": "未决"}
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:?!]|[,;:?!(][\u4e00-\u9fff]")  # punctuation of the other script


@pytest.mark.parametrize("name", TOLD)
def test_every_paragraph_has_its_chinese(name):
    assert list_gaps(name) == [], f"edit docs/zh/{name}.toml, then `python tests/repository/chinese_pages.py`"


@pytest.mark.parametrize("name", TOLD)
def test_numbers_links_code_formulas_and_verdicts_are_the_same(name):
    for pair in pair_all(name):
        assert read_facts(pair.zh) == read_facts(pair.english), pair.zh


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_form_is_the_same(name):
    """Headings, items, and rows of as many columns."""
    for pair in pair_all(name):
        marks = [re.match(r"#+ |- |\||", text)[0] for text in (pair.english, pair.zh)]
        bars = [len(re.findall(r"(?<!\\)\|", text)) for text in (pair.english, pair.zh)]
        assert marks[0] == marks[1], pair.zh
        assert bars[0] == bars[1] or "|" not in marks, pair.zh


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_words_of_verdicts_are_explained_where_they_come_first(name):
    page = PAGES[CHINESE / f"{name}.md"]
    for word, gloss in GLOSSES.items():
        first = re.search(rf"(?<!NOT ){word}(.{{{len(gloss) + 2}}})", page)
        assert not first or first[1] == f"（{gloss}）", f"{name}: {word}（{gloss}）"


@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.stem)
def test_pages_are_made_of_the_texts(place):
    assert place.read_text() == PAGES[place], "python tests/repository/chinese_pages.py writes it anew"


@pytest.mark.parametrize("place", sorted(CHINESE.glob("*.md")), ids=lambda place: place.stem)
def test_pages_have_one_title_links_that_lead_somewhere_and_chinese_punctuation(place):
    page = place.read_text()
    assert len(re.findall(r"^# ", page, re.M)) == 1
    links = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", page)
    assert links
    assert [link for link in links if not (CHINESE / link).exists()] == []
    assert HALF_WIDTH.findall(re.sub(r"`[^`\n]*`|\$[^$\n]*\$", "", page)) == []


def test_titles_are_those_of_the_front_page():
    rows = re.findall(r"^\| \[(\d\d_\w+)\]\([^)]*\) \| ([^|]*) \|", (ROOT / "README.zh-CN.md").read_text(), re.M)
    assert dict(rows) == read_titles()


def test_no_text_is_of_a_notebook_that_is_not_there():
    assert {path.stem for path in CHINESE.glob("[0-9]*")} == set(NOTEBOOKS)


def written(*pieces):
    return [Text(hash_piece(piece), "中文") for piece in pieces]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (written("one", "two", "three"), []),
        (written("one", "before", "three"), [f'stale: "two", the Chinese is of {hash_piece("before")}']),
        (written("one", "three"), [f'missing: "two", source = "{hash_piece("two")}"']),
        (written("one", "two", "three", "four"), [f"left over: {hash_piece('four')}, 中文"]),
    ],
    ids=["all there", "stale", "missing", "left over"],
)
def test_gaps_are_named(texts, said):
    found = list(find_gaps(["one", "two", "three"], texts, {}))
    assert len(found) == len(said)
    assert all(line.startswith(begin) for line, begin in zip(found, said, strict=True))


def test_a_stale_text_stays_on_its_page():
    pairs = pair_pieces(["one", "two", "three"], written("one", "before", "three"), {})
    assert [pair.english for pair in pairs] == ["one", "two", "three"]
    assert pair_pieces(["one", "two"], written("two"), {hash_piece("one"): "一"})[0].zh == "一"


def test_pieces_are_the_smallest_that_keep_together():
    cell = "# a\n\nb\nc\n\n- d\n  e\n- f\n\n| g | h |\n|---|---|\n| i | j |"
    pieces = ["# a", "b c", "- d e", "- f", "| g | h |", "| i | j |"]
    assert split_pieces(cell) == pieces
    assert join_pieces(pieces) == "# a\n\nb c\n\n- d e\n- f\n\n| g | h |\n|---|---|\n| i | j |"


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("0.4 of 3", "0.4 和 4"),
        ("−1", "1"),
        ("`a`", "a"),
        ("[a](b.md)", "[a](c.md)"),
        ("is OPEN", "未决"),
        ("$x$", "$y$"),
    ],
)
def test_other_facts_are_seen(english, chinese):
    assert read_facts(english) != read_facts(chinese)


def test_links_lead_to_the_chinese_page_of_a_notebook():
    assert move_link("03_attribution_methods.ipynb") == "03_attribution_methods.md"
    assert move_link("../data/README.md#a") == "../../data/README.md#a"
    assert move_link("https://a.b") == "https://a.b"
