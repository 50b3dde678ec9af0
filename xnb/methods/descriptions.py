"""What a method is, in a few lines for a reader: a sentence, its formula, what it costs, who wrote it.

All of it is read from the method's own docstring and card, so that it is written once.
"""

import inspect
import re
from dataclasses import dataclass

from xnb.methods.registry import METHODS

_NEEDS = {
    "nothing": "no model",
    "forward": "scores alone",
    "gradient": "a gradient",
    "modules": "the inside of the network",
}
_ADDRESSES = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
_IDENTIFIER = re.compile(r"(arXiv|doi):([^\s,;]+)")
# What all formulas and costs share; written like a docstring.
_LEGEND = (
    ":math:`f` is the score, the logit of the class that is explained, :math:`x` the input, :math:`b` the baseline. "
    "F and B are a forward and a backward pass of one input; M counts regions, D channels, N tokens."
)


@dataclass(frozen=True)
class _Description:
    """What one docstring and card say.

    Attributes:
        sentence: what a value of the map is, the first sentence of the docstring.
        formulas: the blocks of mathematics of the docstring, as LaTeX.
        symbols: the sentence behind them that begins with "Here"; nothing where all symbols are in the legend.
        needs: what is asked of the model.
        cost: of one input, in passes.
        source: who published it.
    """

    name: str
    sentence: str
    formulas: tuple[str, ...]
    symbols: str
    needs: str
    cost: str
    source: str

    def write_markdown(self) -> str:
        """The description as paragraphs of Markdown, its formulas in a line of their own."""
        formulas = [f"$$\n{formula}\n$$" for formula in self.formulas]
        source = _IDENTIFIER.sub(_link, self.source)
        facts = f"Needs {self.needs}; costs `{self.cost}`. Source: {source}."
        paragraphs = [f"**{self.name}**: {_mark_mathematics(self.sentence)}", *formulas]
        if self.symbols:
            paragraphs.append(_mark_mathematics(self.symbols))
        return "\n\n".join([*paragraphs, facts])

    def write_text(self) -> str:
        """The same in plain lines, formulas as they are written in LaTeX."""
        lines = [f"{self.name}: {_plain(self.sentence)}", *self.formulas]
        if self.symbols:
            lines.append(_plain(self.symbols))
        facts = f"Needs {self.needs}; costs {self.cost}. Source: {self.source}."
        return "\n    ".join([*lines, facts])


class Descriptions(tuple[_Description, ...]):
    """Descriptions of methods; a notebook shows them as Markdown, a terminal as text."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return "\n\n".join([*(one.write_markdown() for one in self), _mark_mathematics(_LEGEND)])

    def __repr__(self) -> str:
        return "\n".join([*(one.write_text() for one in self), _plain(_LEGEND)])


def describe(*names: str) -> Descriptions:
    """Say of each method what it computes, by which formula, what it costs, and whose it is.

    The last expression of a cell shows it as Markdown; `print` writes it as text.

    Args:
        names: of methods, as `xnb.catalog()` lists them; without any, all of them.

    Raises:
        ValueError: there is no method of that name.
    """
    described = [_read_method(name) for name in names or METHODS]
    return Descriptions(described)


def _read_method(name: str) -> _Description:
    """What a method's docstring and card say of it: first sentence, formulas, what their letters are, cost, source."""
    text = inspect.getdoc(METHODS.find(name)) or ""
    card = METHODS.cards[name]
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    formulas = [paragraph.removeprefix(".. math:: ") for paragraph in paragraphs if paragraph.startswith(".. math:: ")]
    symbols = [_first_sentence(paragraph) for paragraph in paragraphs if paragraph.startswith("Here ")]
    return _Description(
        name=name,
        sentence=_first_sentence(paragraphs[0]),
        formulas=tuple(formulas),
        symbols=" ".join(symbols),
        needs=_NEEDS[card.needs],
        cost="no pass" if card.cost == "none" else card.cost,
        source=card.paper,
    )


def _first_sentence(paragraph: str) -> str:
    """The text up to the first full stop that ends a sentence."""
    return re.split(r"(?<=\.) ", paragraph)[0]


def _mark_mathematics(text: str) -> str:
    """The text of a docstring, its mathematics between dollars as Markdown has them."""
    return re.sub(r":math:`([^`]*)`", r"$\1$", text)


def _plain(text: str) -> str:
    """The text of a docstring, its mathematics as it is written."""
    return re.sub(r":math:`([^`]*)`", r"\1", text)


def _link(identifier: re.Match[str]) -> str:
    """A Markdown link of the identifier of a paper."""
    kind, number = identifier.groups()
    return f"[{kind}:{number}]({_ADDRESSES[kind]}{number})"
