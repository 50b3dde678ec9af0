"""Pieces of HTML for a panel: plain tags that take their colours from the theme, and say in words what they show."""

from collections.abc import Mapping, Sequence
from html import escape

import matplotlib as mpl
import numpy as np
from numpy.typing import ArrayLike

from xnb.plot import SIGNED
from xnb.widgets.pixels import Pixels, data_link

# Distinct to colour-blind eyes, and from both white and black paper.
BLUE = "#3b8bc4"
_ORANGE = "#c77d00"
_FAINT = "opacity:.65"
BUSY = '<span role="status" style="padding:2px 8px;border:1px solid currentColor;border-radius:9px">working …</span>'

_TABLE = "border-collapse:collapse;line-height:1.25"
_HEAD = "text-align:left;font-weight:bold;padding:0"
_CELL = "text-align:left;padding:1px 8px 1px 0;border:none;background:none;max-width:150px"
_NUMBER = "text-align:right;padding:1px 0 1px 8px;border:none;background:none;font-variant-numeric:tabular-nums"
_BAR = "position:absolute;top:0;height:11px"
_SPREAD = "display:flex;justify-content:space-between;line-height:1.3"  # first word on the left, last on the right


def image_html(
    rgb: Pixels,
    alt: str,
    caption: str = "",
    width: int | None = None,
) -> str:
    """One picture with `alt`, which a screen reader reads, and a caption. It is never wider than its column."""
    image_style = "width:100%;height:auto;image-rendering:pixelated;display:block"
    shown_width = width or rgb.shape[1]
    figure_style = f"margin:0;width:{shown_width}px;max-width:100%"
    above = ""
    if caption:
        above = f'<figcaption style="line-height:1.3;margin-bottom:3px">{escape(caption)}</figcaption>'
    link = data_link(rgb)
    image = f'<img src="{link}" alt="{escape(alt)}" style="{image_style}">'
    return f'<figure style="{figure_style}">{above}{image}</figure>'


def row_html(*pieces: str) -> str:
    """Pieces side by side; those that find no room go below."""
    style = "display:flex;flex-wrap:wrap;gap:14px;align-items:flex-start"
    content = "".join(pieces)
    return f'<div style="{style}">{content}</div>'


def column_html(*pieces: str, width: str = "auto") -> str:
    """Pieces one below the other."""
    style = f"display:flex;flex-direction:column;gap:6px;width:{width};max-width:100%"
    content = "".join(pieces)
    return f'<div style="{style}">{content}</div>'


def note_html(text: str) -> str:
    """Text in small, faint letters."""
    return f'<span style="font-size:.85em;line-height:1.3;{_FAINT}">{escape(text)}</span>'


def scale_html(end: float, *, sign: bool = True, unit: str = "") -> str:
    """Colour bar of a map with the numbers at its ends, `-end` or 0 on the left and `end` on the right."""
    last = f"{end:.2g} {escape(unit)}".strip()
    if sign:
        gradient = _css_gradient(SIGNED, -1)
        labels = [f"{-end:.2g} against", "0", f"for {last}"]
    else:
        gradient = _css_gradient(SIGNED, 0)
        labels = ["0", "", last]
    ends = "".join(f"<span>{label}</span>" for label in labels)
    bar = f'<div style="height:10px;border:1px solid #888;background:{gradient}"></div>'
    below = f'<div style="{_SPREAD}">{ends}</div>'
    return f'<div style="width:256px;max-width:100%;font-size:.9em">{bar}{below}</div>'


def _css_gradient(colormap: str, start: int) -> str:
    """Colours of a diverging map from `start`, -1 or 0, to 1."""
    colours = mpl.colormaps[colormap](np.linspace((start + 1) / 2, 1, 9))
    stops = ", ".join(mpl.colors.to_hex(colour) for colour in colours)
    return f"linear-gradient(to right, {stops})"


def bars_html(
    names: Sequence[str],
    values: ArrayLike,
    *,
    before: ArrayLike | None = None,
    mark: str = "",
) -> str:
    """Probabilities as a table with bars.

    Args:
        names: one a bar.
        values: shares in [0, 1].
        before: earlier values; a line stands where each was, and the change is written beside it.
        mark: the name that is printed bold.
    """
    shares = np.asarray(values, dtype=float)
    earlier = shares if before is None else np.asarray(before, dtype=float)
    rows = ""
    for name, share, was in zip(names, shares, earlier, strict=True):
        cells = _bar_cells(name, share, None if before is None else was)
        weight = "bold" if name == mark else "normal"
        rows += f'<tr style="font-weight:{weight}">{cells}</tr>'
    return f'<table style="{_TABLE}"><caption style="{_HEAD}">The model says</caption>{rows}</table>'


def _bar_cells(name: str, share: float, was: float | None) -> str:
    """Cells of one bar: its name, the bar, the number, and the change where an earlier value is known."""
    bar = f'<div style="{_BAR};left:0;width:{share:.1%};background:{BLUE}"></div>'
    change = ""
    if was is not None:
        bar += f'<div style="{_BAR};left:{was:.1%};width:2px;background:currentColor"></div>'
        difference = _format_change(share - was)
        change = f'<td style="{_NUMBER};{_FAINT}">{difference}</td>'
    return (
        f'<th scope="row" style="{_CELL};font-weight:inherit">{escape(name)}</th>'
        f'<td style="{_CELL}"><div style="position:relative;width:110px;height:11px">{bar}</div></td>'
        f'<td style="{_NUMBER}">{share:.1%}</td>{change}'
    )


def _format_change(change: float) -> str:
    """Write a change of probability; one that would be rounded to nothing is "±0"."""
    if abs(change) >= 0.0005:
        return f"{change:+.1%}"
    return "±0"


def table_html(head: str, facts: Mapping[str, str]) -> str:
    """Facts in two columns."""
    rows = ""
    for name, fact in facts.items():
        header = f'<th scope="row" style="{_CELL};font-weight:normal;{_FAINT}">{escape(name)}</th>'
        rows += f'<tr>{header}<td style="{_NUMBER}">{escape(fact)}</td></tr>'
    return f'<table style="{_TABLE}"><caption style="{_HEAD}">{escape(head)}</caption>{rows}</table>'


# Colour, dashes, and a sign for the legend: curves differ by dashes too, for eyes that see no colours.
_STROKES = ((BLUE, "", "━━"), (_ORANGE, "6 3", "╍╍"), ("#888", "2 3", "┅┅"))
_CURVES_WIDTH = 256
_CURVES_HEIGHT = 120


def curves_html(
    head: str,
    curves: Mapping[str, ArrayLike],
    *,
    alt: str,
    below: str,
) -> str:
    """At most three curves over the same steps, from 0 to 1 upwards, as a drawing that scales with the page.

    Args:
        head: above the drawing.
        curves: by name.
        alt: what a screen reader reads.
        below: what the steps are.
    """
    lines = ""
    legend = ""
    for (name, values), (colour, dashes, sign) in zip(curves.items(), _STROKES, strict=False):
        points = _polyline_points(values)
        stroke = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
        lines += f'<polyline points="{points}" {stroke}/>'
        legend += f'<span aria-hidden="true" style="color:{colour}">{sign}</span> {escape(name)}<br>'
    axes = f"M0,0V{_CURVES_HEIGHT}H{_CURVES_WIDTH}"  # down along the left side, then to the right
    frame = f'<path d="{axes}" fill="none" stroke="currentColor" opacity=".5"/>'
    box = f"-2 -2 {_CURVES_WIDTH + 4} {_CURVES_HEIGHT + 4}"  # two pixels around it, for the width of the lines
    style = f"width:{_CURVES_WIDTH}px;max-width:100%;display:block;margin:4px 0"
    drawing = f'<svg role="img" aria-label="{escape(alt)}" viewBox="{box}" style="{style}">{lines}{frame}</svg>'
    return (
        f'<div style="font-size:.9em;line-height:1.3"><b>{escape(head)}</b><br>'
        f'{drawing}{legend}<span style="{_FAINT}">{escape(below)}</span></div>'
    )


def _polyline_points(values: ArrayLike) -> str:
    """Corners of a curve in the drawing, whose rows count downwards."""
    shares = np.asarray(values, dtype=float).clip(0, 1)
    rows = (1 - shares) * _CURVES_HEIGHT
    columns = np.linspace(0, _CURVES_WIDTH, len(rows))
    corners = zip(columns, rows, strict=True)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def code_html(head: str, lines: Sequence[str]) -> str:
    """Lines of code to copy: one click selects them all."""
    style = "user-select:all;white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:4px;border:1px solid #888;"
    style += "font-family:monospace;line-height:1.35"  # which not every page gives to code
    text = escape("\n".join(lines))
    title = escape(head)
    return f'<b>{title}</b><pre tabindex="0" role="group" aria-label="{title}" style="{style}">{text}</pre>'


def reasons_html(refused: Mapping[str, str]) -> str:
    """Methods with the reason why they cannot be selected, behind a line that opens at a click."""
    if not refused:
        return ""
    rows = ""
    for name, reason in refused.items():
        text = escape(reason.removeprefix(f"{name}: "))  # a method's own refusals begin with its name
        rows += f'<div style="{_FAINT};white-space:pre-wrap;line-height:1.3"><b>{escape(name)}</b>: {text}</div>'
    head = f"{len(refused)} methods are not for this model"
    return f'<details><summary style="cursor:pointer">{escape(head)}</summary>{rows}</details>'


def message_html(text: str) -> str:
    """A refusal with all its lines: the rule, what was passed, a line to paste."""
    style = f"white-space:pre-wrap;border-left:4px solid {_ORANGE};padding:4px 8px;margin:0"
    return f'<pre role="alert" style="{style}">{escape(text)}</pre>'
