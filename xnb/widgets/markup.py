"""Pieces of a page: plain HTML that takes its colours from the theme, and says in words what it shows."""

from collections.abc import Mapping, Sequence
from html import escape

import matplotlib as mpl
import numpy as np
from numpy.typing import ArrayLike, NDArray

from xnb.plot import SIGNED, UNSIGNED
from xnb.widgets.pixels import link

BLUE, ORANGE = "#3b8bc4", "#de8f05"  # told apart by all eyes, and from white and from black paper
FAINT = "opacity:.65"
BUSY = '<span role="status" style="padding:2px 8px;border:1px solid currentColor;border-radius:9px">working …</span>'


def image(rgb: NDArray[np.uint8], alt: str, caption: str = "", width: int | None = None) -> str:
    """One picture with its words: `alt` for who cannot see it, a caption for all. Never wider than its place."""
    style = "width:100%;height:auto;image-rendering:pixelated;display:block"
    place = f"margin:0;width:{width or rgb.shape[1]}px;max-width:100%"
    words = f'<figcaption style="line-height:1.3;margin-bottom:3px">{escape(caption)}</figcaption>' if caption else ""
    return f'<figure style="{place}">{words}<img src="{link(rgb)}" alt="{escape(alt)}" style="{style}"></figure>'


def row(*pieces: str) -> str:
    """Pieces side by side; those that find no room go below."""
    return f'<div style="display:flex;flex-wrap:wrap;gap:14px;align-items:flex-start">{"".join(pieces)}</div>'


def column(*pieces: str, width: str = "auto") -> str:
    return f'<div style="display:flex;flex-direction:column;gap:6px;width:{width}">{"".join(pieces)}</div>'


def note(text: str) -> str:
    return f'<span style="font-size:.85em;line-height:1.3;{FAINT}">{escape(text)}</span>'


def scale(end: float, *, sign: bool = True, unit: str = "") -> str:
    """Colour bar of a map with its raw numbers."""
    stops = mpl.colormaps[SIGNED if sign else UNSIGNED](np.linspace(0, 1, 9))
    gradient = ", ".join(mpl.colors.to_hex(stop) for stop in stops)
    low, middle = (f"{-end:.2g} against", "0") if sign else ("0", "")
    high = f"for {end:.2g}" if sign else f"{end:.2g}"
    ends = "".join(f"<span>{text}</span>" for text in (low, middle, f"{high} {escape(unit)}".strip()))
    bar = f'<div style="height:10px;border:1px solid #888;background:linear-gradient(to right, {gradient})"></div>'
    words = f'<div style="display:flex;justify-content:space-between;line-height:1.3">{ends}</div>'
    return f'<div style="width:256px;max-width:100%;font-size:.9em">{bar}{words}</div>'


def bars(names: Sequence[str], values: ArrayLike, *, before: ArrayLike | None = None, mark: str = "") -> str:
    """Shares in [0, 1] as a table with bars; a line stands where each was `before`, `mark` is printed bold."""
    earlier = np.asarray(values if before is None else before, dtype=float)
    rows = []
    for name, value, was in zip(names, np.asarray(values, dtype=float), earlier, strict=True):
        bold = "bold" if name == mark else "normal"
        tick = "" if before is None else f'<div style="{BAR};left:{was:.1%};width:2px;background:currentColor"></div>'
        fill = f'<div style="{BAR};left:0;width:{value:.1%};background:{BLUE}"></div>{tick}'
        change = "" if before is None else f'<td style="{NUMBER};{FAINT}">{moved(value - was)}</td>'
        rows.append(
            f'<tr style="font-weight:{bold}"><th scope="row" style="{CELL};font-weight:inherit">{escape(name)}</th>'
            f'<td style="{CELL}"><div style="position:relative;width:110px;height:11px">{fill}</div></td>'
            f'<td style="{NUMBER}">{value:.1%}</td>{change}</tr>'
        )
    return f'<table style="{TABLE}"><caption style="{HEAD}">The model says</caption>{"".join(rows)}</table>'


def moved(change: float) -> str:
    """A change in words, nothing where there is none to speak of."""
    return f"{change:+.1%}" if abs(change) >= 0.0005 else "±0"


TABLE = "border-collapse:collapse;line-height:1.25"
HEAD = "text-align:left;font-weight:bold;padding:0"
CELL = "text-align:left;padding:1px 8px 1px 0;border:none;background:none;max-width:150px"
NUMBER = "text-align:right;padding:1px 0 1px 8px;border:none;background:none;font-variant-numeric:tabular-nums"
BAR = "position:absolute;top:0;height:11px"


def table(head: str, facts: Mapping[str, str]) -> str:
    """Facts in two columns."""
    rows = "".join(
        f'<tr><th scope="row" style="{CELL};font-weight:normal;{FAINT}">{escape(name)}</th>'
        f'<td style="{NUMBER}">{escape(fact)}</td></tr>'
        for name, fact in facts.items()
    )
    return f'<table style="{TABLE}"><caption style="{HEAD}">{escape(head)}</caption>{rows}</table>'


STROKES = ((BLUE, "", "━━"), (ORANGE, "6 3", "╍╍"), ("#888", "2 3", "┅┅"))  # told apart by dashes as well


def lines(
    head: str, curves: Mapping[str, ArrayLike], *, alt: str, across: str, size: tuple[int, int] = (256, 120)
) -> str:
    """Curves over the same steps, from 0 to 1 upwards, as a drawing that scales with the page."""
    (width, height), drawn, legend = size, [], []
    for (name, values), (colour, dash, glyph) in zip(curves.items(), STROKES, strict=False):
        stroke = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        drawn.append(f'<polyline points="{points(values, size)}" {stroke}/>')
        legend.append(f'<span aria-hidden="true" style="color:{colour}">{glyph}</span> {escape(name)}<br>')
    frame = f'<path d="M0,0V{height}H{width}" fill="none" stroke="currentColor" opacity=".5"/>'
    return (
        f'<div style="font-size:.9em;line-height:1.3"><b>{escape(head)}</b><br>'
        f'<svg role="img" aria-label="{escape(alt)}" viewBox="-2 -2 {width + 4} {height + 4}" '
        f'style="width:{width}px;max-width:100%;display:block;margin:4px 0">{"".join(drawn)}{frame}</svg>'
        f'{"".join(legend)}<span style="{FAINT}">{escape(across)}</span></div>'
    )


def points(values: ArrayLike, size: tuple[int, int]) -> str:
    """Corners of a curve in a drawing of that width and height."""
    heights = (1 - np.asarray(values, dtype=float).clip(0, 1)) * size[1]
    steps = np.linspace(0, size[0], len(heights))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(steps, heights, strict=True))


def code(head: str, lines: Sequence[str]) -> str:
    """Lines to copy: one click selects them all."""
    style = "user-select:all;white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:4px;border:1px solid #888"
    text = escape("\n".join(lines))
    return f'<b>{escape(head)}</b><pre tabindex="0" aria-label="{escape(head)}" style="{style}">{text}</pre>'


def folded(head: str, body: str) -> str:
    """What opens when asked."""
    return f'<details><summary style="cursor:pointer">{escape(head)}</summary>{body}</details>'


def reasons(refused: Mapping[str, str]) -> str:
    """Names with why they cannot be chosen, in grey."""
    rows = "".join(
        f'<div style="{FAINT}"><b>{escape(name)}</b>: {escape(reason)}</div>' for name, reason in refused.items()
    )
    return folded(f"{len(refused)} methods are not for this model", rows) if refused else ""


def message(text: str) -> str:
    """A refusal, whole: the rule, what came, a line to paste."""
    style = f"white-space:pre-wrap;border-left:4px solid {ORANGE};padding:4px 8px;margin:0"
    return f'<pre role="alert" style="{style}">{escape(text)}</pre>'
