"""MODELS.md: a row for each network, a column for each family of methods, and below the reasons of refusals."""

from collections import defaultdict
from collections.abc import Mapping

from xnb.methods import METHODS

Answers = Mapping[str, Mapping[str, str]]  # by network, "library name": by method, why it is refused

_HEAD = """# Which methods run on which networks

Written by `make models`, which asks `xnb.lint` about each network with random weights. `runs` counts the methods that \
answer, of {methods}; what is refused stands with its reason below. Whether an answer can be trusted is another \
question, which `xnb.compare` measures.
"""


def write_table(answers: Answers) -> str:
    """The page as text."""
    families = list(dict.fromkeys(card.family for card in METHODS.cards.values()))
    lines = [
        _HEAD.format(methods=len(METHODS)),
        _row(["network", "runs", *families]),
        _row(["---"] * (len(families) + 2)),
    ]
    for network, reasons in answers.items():
        counts = [_count_family(reasons, family) for family in families]
        lines.append(_row([network, str(_count(reasons, METHODS)), *counts]))
    lines += ["", "## What is refused, and why", ""]
    for network, reasons in answers.items():
        lines += [f"### {network}", "", *_list_reasons(reasons), ""]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _count(reasons: Mapping[str, str], methods: object) -> int:
    return sum(not reasons[name] for name in methods)  # type: ignore[attr-defined]


def _count_family(reasons: Mapping[str, str], family: str) -> str:
    names = [name for name, card in METHODS.cards.items() if card.family == family]
    return f"{_count(reasons, names)} of {len(names)}"


def _list_reasons(reasons: Mapping[str, str]) -> list[str]:
    """A line for each reason, with the methods that gave it."""
    methods = defaultdict(list)
    for name, reason in reasons.items():
        if reason:
            methods[_shorten(reason, name)].append(f"`{name}`")
    if not methods:
        return ["Nothing."]
    return [f"- {', '.join(names)}: {reason}" for reason, names in methods.items()]


def _shorten(reason: str, name: str) -> str:
    """The rule and what came, without the name of the method and the line to try: equal for methods of one kind."""
    rule, _, _ = reason.partition(" try: ")
    return rule.removeprefix(f"{name}: ")
