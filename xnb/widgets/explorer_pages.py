"""Pages of the explorer: picture and map, probabilities and costs, and the curves of removal."""

import numpy as np
from numpy.typing import NDArray

from xnb.widgets import markup
from xnb.widgets.explained import Subject, likeliest_classes
from xnb.widgets.explore_state import Look, MapAnswer, Question, probability_curves, scale_end
from xnb.widgets.map_pictures import describe_map, describe_rival, draw_input, draw_map

_MAX_CLASSES = 6  # that are shown
NO_REMOVAL = "off"
_ASSUMED = "the model does not show which axis holds channels. Embeddings (B, T, D) are drawn with words=."
_REMOVALS = [
    ("not shown", NO_REMOVAL),
    ("to the mean colour", "mean"),
    ("to black", "zero"),
    ("to a blur", "blur"),
    ("to what is around", "noisy_linear"),
]
_OTHER_REMOVALS = [("not shown", NO_REMOVAL), ("to the mean", "mean"), ("to zero", "zero")]
_UNITS = {"table": "features", "text": "words", "signal": "steps", "picture": "pixels", "volume": "voxels"}


def removal_options(subject: Subject) -> list[tuple[str, str]]:
    """Labels and imputers that may stand where something is removed from an input."""
    if subject.kind == "picture":
        return _REMOVALS
    return _OTHER_REMOVALS  # only pictures have colours and surroundings


def input_caption(subject: Subject, question: Question, answer: MapAnswer) -> str:
    """Number of the input, the class that the model predicts, and the true one if that differs."""
    predicted = subject.classes[int(answer.probabilities.argmax())]
    true = subject.true_class(question.picture)
    ending = f", in truth {true}" if true and true != predicted else ""
    return f"{subject.input_name(question.picture)}: {predicted}{ending}"


def shown_classes(subject: Subject, answer: MapAnswer) -> tuple[list[str], NDArray]:
    """Names and probabilities of the most probable classes and of the explained one."""
    indices = likeliest_classes(answer.probabilities, _MAX_CLASSES)
    if answer.target not in indices:
        indices.append(answer.target)
    return subject.class_names(indices), answer.probabilities[indices]


def view_page(subject: Subject, question: Question, answer: MapAnswer, look: Look) -> str:
    """Picture and map side by side, the map above its colour bar."""
    caption = input_caption(subject, question, answer)
    beside = subject.kind in ("picture", "table")  # all else is drawn with its map on it
    outlined = look.outline and subject.mask(question.picture) is not None
    alt = f"{caption}; outline: the mask" if outlined else caption
    picture = markup.image_html(draw_input(subject, question, look), alt, caption) if beside else ""

    classes = subject.classes[answer.target] + describe_rival(subject, question)
    head = f"{question.method} for {classes}" if beside else f"{caption}: {question.method} for {classes}"
    rgb = draw_map(subject, question, answer, look)
    heat_map = markup.image_html(rgb, describe_map(subject, question, answer), head)
    warnings = list(answer.warnings)
    if subject.assumed:
        warnings.append(f"Taken for a {subject.kind}: {_ASSUMED}")
    notes = [markup.column_html(markup.note_html(text), width="256px") for text in warnings]
    return markup.row_html(picture, markup.column_html(heat_map, _colour_bar(answer, look), *notes))


def _colour_bar(answer: MapAnswer, look: Look) -> str:
    """Colour bar in the unit of the map, or in shares of its end with that end written beside it."""
    end = scale_end(answer, look)
    if look.normalised:
        return markup.scale_html(1.0, unit=f"= {end:.2g}")
    return markup.scale_html(end)


def facts_page(subject: Subject, answer: MapAnswer) -> str:
    """Probabilities and costs."""
    names, probabilities = shown_classes(subject, answer)
    bars = markup.bars_html(names, probabilities, mark=subject.classes[answer.target])
    costs = markup.table_html("Ledger", _format_costs(answer))
    return markup.column_html(bars, costs, width="256px")


def _format_costs(answer: MapAnswer) -> dict[str, str]:
    """Write the ledger of this input, prediction and checks included; a dash where a number is not known."""
    ledger = answer.ledger
    costs = {
        "passes forward, backward": f"{ledger['forward']:.4g}, {ledger['backward']:.4g}",
        "milliseconds": f"{1000 * ledger['seconds']:.0f}",
        "gap of completeness": f"{ledger['gap']:.1%}",
        "share of the score kept": f"{ledger['conserved']:.1%}",
        "standard error": f"{ledger['standard_error']:.1%}",
    }
    if ledger["layer"]:
        costs["layer"] = ledger["layer"]
    return {name: "–" if cost == "nan%" else cost for name, cost in costs.items()}


def removal_page(subject: Subject, question: Question, answer: MapAnswer, impute: str) -> str:
    """Curves of the class's probability as pixels are removed, the most important first and the least."""
    if impute == NO_REMOVAL:
        return ""
    curves = probability_curves(subject, question, answer, impute)
    means = {name: np.mean(values) for name, values in curves.items()}
    # What the map says is right in so far as the class outlives the removal of what is said not to matter.
    area = means["least important first"] - means["most important first"]
    alt = ", ".join(f"{name}: mean {mean:.2f}" for name, mean in means.items())
    units = _UNITS[subject.kind]
    head = f"Probability of {subject.classes[answer.target]} as {units} go"
    below = f"from none to all {units}; area between {area:+.2f}"
    return markup.curves_html(head, curves, alt=alt, below=below)
