"""Pictures of an input and of its explanation, in pixels and in words."""

import numpy as np
from numpy.typing import NDArray

from xnb.methods import METHODS
from xnb.widgets import pixels, row_bars
from xnb.widgets.explained import Subject
from xnb.widgets.explore_state import Look, MapAnswer, Question, scale_end, share_in_mask
from xnb.widgets.field_pictures import draw_fields
from xnb.widgets.pixels import Pixels

_AXIS_NAMES = ("slice", "row", "column")


def draw_input(subject: Subject, question: Question, look: Look) -> Pixels:
    """Draw the picture that is explained, the bars of a table's row, or another input without any colour on it."""
    row = question.picture
    x = subject.x[row]
    if subject.kind == "table":
        end = float(x.abs().max()) or 1.0
        return row_bars.draw_row_bars(x.cpu(), subject.features, end)
    if subject.kind == "picture":
        return outline_evidence(pixels.enlarge_picture(subject.shown_picture(row)), subject, question, look)
    places = x.shape[:1] if subject.kind == "text" else x.shape[1:]
    return draw_fields(subject, row, np.zeros(places), 1.0)


def draw_map(subject: Subject, question: Question, answer: MapAnswer, look: Look) -> Pixels:
    """Draw the explanation, over the picture where it is not opaque."""
    row = question.picture
    end = scale_end(answer, look)
    if subject.kind == "table":
        return row_bars.draw_row_bars(answer.heat, subject.features, end)
    if subject.kind != "picture":
        return draw_fields(subject, row, answer.heat, end)
    H, W = subject.x.shape[2:]
    colours = pixels.signed_colours(answer.heat, end)
    rgb = pixels.resize_nearest(colours, pixels.display_size(H, W))
    if look.opacity < 1:
        below = pixels.enlarge_picture(subject.shown_picture(row))
        rgb = pixels.blend_with_input(rgb, below, look.opacity)
    return outline_evidence(rgb, subject, question, look)


def outline_evidence(rgb: Pixels, subject: Subject, question: Question, look: Look) -> Pixels:
    """Draw a line around the mask, if it is known and `look` wants it."""
    mask = subject.mask(question.picture) if look.outline else None
    if mask is None:
        return rgb
    return pixels.draw_outline(rgb, mask.cpu())


def describe_map(subject: Subject, question: Question, answer: MapAnswer) -> str:
    """Say what the map shows, for a reader who cannot see it."""
    heat = answer.heat
    row = question.picture
    most = _describe_value(subject, row, heat, int(heat.argmax()))
    least = _describe_value(subject, row, heat, int(heat.argmin()))
    family = METHODS.cards[question.method].family
    classes = subject.classes[answer.target] + describe_rival(subject, question)
    text = f"{question.method} ({family}) for {classes}: most for it {most}; least {least}"
    share = share_in_mask(subject, question, heat)
    ending = "." if share is None else f"; {share:.0%} of the magnitude lies in the mask."
    return text + ending


def describe_rival(subject: Subject, question: Question) -> str:
    """Name the class whose score is subtracted, if there is one."""
    if question.rather is None:
        return ""
    return f" rather than {subject.classes[question.rather]}"


def _describe_value(subject: Subject, row: int, heat: NDArray, index: int) -> str:
    """Say a value of the map and where it is; `index` counts through all its values."""
    value = heat.flat[index]
    if subject.kind == "table":
        return f"{value:+.2g} at {subject.features[index]}"
    if subject.kind == "text":
        return f"{value:+.2g} at {subject.words[row][index]!r}"
    # People count from 1, beginning at the top left.
    place = np.unravel_index(index, heat.shape)
    named = zip(_AXIS_NAMES[-heat.ndim :] if heat.ndim > 1 else ["step"], place, strict=True)
    return f"{value:+.2g} at " + ", ".join(f"{name} {number + 1}" for name, number in named)
