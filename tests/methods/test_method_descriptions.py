"""Descriptions of methods: each has a sentence, a formula and a source, and they render as Markdown.

Tests: xnb.methods.descriptions
"""

import re

import pytest

import xnb
from xnb.methods import METHODS, describe
from xnb.methods.registry import MethodCard

# Their values come from no formula of the score; all that they are stands in their sentence.
WITHOUT_FORMULA = {"random", "edges", "centre", "baseline_distance", "constant"}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_is_by_which_formula_and_whose(name):
    (described,) = describe(name)
    assert described.name == name
    assert described.sentence[0].isupper()
    assert described.sentence.endswith(".")
    assert 6 <= len(described.sentence.split()) <= 25, described.sentence
    assert described.formulas or name in WITHOUT_FORMULA
    assert described.cost
    assert described.source


@pytest.mark.parametrize("name", METHODS)
def test_the_mathematics_is_closed_where_it_is_opened(name):
    (described,) = describe(name)
    for formula in described.formulas:
        assert "=" in formula or r"\propto" in formula
        assert "$" not in formula
        bare = formula.replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}")
        assert formula.count(r"\begin") == formula.count(r"\end")
        for opening, closing in ((r"\bigl", r"\bigr"), (r"\Bigl", r"\Bigr")):
            assert formula.count(opening) == formula.count(closing)
    page = described.write_markdown()
    assert ":math:" not in page
    assert page.count("$") % 2 == 0


def symbols(text):
    """Single letters of the mathematics of a text, without what LaTeX does with them."""
    plain = re.sub(r"\\(text|mathrm|operatorname|begin|end)\{[^}]*\}|\\[A-Za-z]+", " ", text)
    return set(re.findall(r"[A-Za-z]", plain))


# Letters that are what they are everywhere: score, input, baseline, the map itself, indices, sizes, means.
KNOWN = set("f x b a i j k n m d r p w e c h I H L N M")


@pytest.mark.parametrize("name", METHODS)
def test_letters_of_a_formula_are_said_to_be_something(name):
    (described,) = describe(name)
    defined = " ".join(re.findall(r":math:`([^`]*)`", described.symbols))
    for formula in described.formulas:
        # what a formula defines by an equation stands on its left
        own = symbols(" ".join(re.findall(r"([^,]*?)(?:=|\\propto|\\sim|\\leftarrow)", formula)))
        missing = symbols(formula) - symbols(defined) - own - KNOWN
        assert not missing, f"say in a sentence that begins with Here: {sorted(missing)}"


def test_it_renders_as_markdown_and_as_text():
    shown = describe("gradient", "exact_shapley")
    page = shown._repr_markdown_()
    assert page == describe("gradient", "exact_shapley")._repr_markdown_()
    assert page.startswith("**gradient**: Rate at which the score changes with each input value.\n\n$$\n")
    assert "\n$$\na = \\nabla_x f(x)\n$$\n" in page
    assert "costs `F + B`. Source: Simonyan, Vedaldi & Zisserman 2014, [arXiv:1312.6034](https://arxiv.org" in page
    assert "[doi:10.1515/9781400881970-018](https://doi.org/10.1515/9781400881970-018)" in page
    assert page.count("$f$ is the score") == 1
    assert page.index("**gradient**") < page.index("**exact_shapley**")
    text = repr(shown)
    assert str(shown) == text
    assert text.startswith("gradient: Rate at which the score changes")
    assert "$" not in text
    assert ":math:" not in text
    assert all(len(line) < 400 for line in text.splitlines())


def test_without_names_it_is_the_whole_catalog():
    assert [one.name for one in describe()] == list(xnb.catalog()["method"])


def test_a_method_of_ones_own_may_say_less(monkeypatch):
    def own(model, x, target):
        """Hand back the input. Unit: none."""
        return x

    monkeypatch.setitem(METHODS._functions, "own", own)
    monkeypatch.setitem(METHODS.cards, "own", MethodCard("control", "nothing", "none", (), "nobody"))
    assert repr(describe("own")).startswith(
        "own: Hand back the input.\n    Needs no model; costs no pass. Source: nobody."
    )


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no method of that name\n  got: 'gradcam'\n  try: one of"):
        describe("gradient", "gradcam")
