"""Code to copy out of a widget: the lines that make the map again in a cell of one's own."""

from inspect import signature

from jaxtyping import Shaped
from torch import Tensor

from xnb.methods import METHODS
from xnb.widgets.explained import Subject
from xnb.widgets.explore_state import Look, MapAnswer, Question, model_knobs, scale_end, splits_words


def code_lines(subject: Subject, question: Question, answer: MapAnswer, look: Look) -> list[str]:
    """Lines of Python to paste into a cell: imports, `a = xnb.attribute(...)`, and the call that draws `a`.

    They use the names `model` and `data`, or `x` in place of `data` for an uploaded picture, which is in no data set.
    """
    row = question.picture
    inputs = f"{subject.source}[{row}:{row + 1}]"  # a batch of one, such as `data.test.x[3:4]`
    if subject.is_upload(row):
        inputs = "x"
    lines = [_attribute_line(subject, question, answer, inputs)]
    imports = ["import matplotlib.pyplot as plt", "import torch", "import xnb"]
    if "square_grid(" in lines[0]:
        imports.append("from xnb.access.regions import square_grid")
    if subject.needs_rows:  # alone, an input would not find what belongs to it
        imports.append("from xnb.access.rows import select_rows")
        lines = [f"with select_rows(slice({row}, {row + 1}), len({subject.source})):", f"    {lines[0]}"]
    return [*imports, *lines, _plot_line(subject, row, answer, look, inputs)]


def _attribute_line(subject: Subject, question: Question, answer: MapAnswer, inputs: str) -> str:
    """Call of `xnb.attribute`, with the knobs that differ from their defaults."""
    model = "model"
    index = answer.target
    if question.rather is not None:
        count = len(subject.classes)
        model = f"xnb.adapters.contrast(model, {answer.target}, {question.rather}, of={count})"
        index = 1  # a contrast has one logit: class 1 is that the label exceeds its rival
    parameters = signature(METHODS[question.method]).parameters
    knobs = ""
    if splits_words(subject, question.method):
        knobs = f", regions=torch.arange({subject.x.shape[1]})[:, None]"  # each word is one
    for name, value in model_knobs(question):
        if name == "regions" or parameters[name].default != value:
            source = _knob_source(name, value, subject.x)
            knobs += f", {name}={source}"
    return f'a = xnb.attribute({model}, {inputs}, torch.tensor([{index}]), "{question.method}"{knobs})'


def _plot_line(subject: Subject, row: int, answer: MapAnswer, look: Look, inputs: str) -> str:
    """Call that draws `a` as the widget does."""
    if subject.kind == "table":
        features = list(subject.features)
        return f"xnb.plot.bars({features}, a[0], plt.gca(), label='score')"
    # The line must draw the same colours, so that the end of the scale is written into it.
    end = f"{scale_end(answer, look):.4g}"
    values = "a[0]"
    if look.normalised:
        values = f"a[0] / {end}"
        end = "1"
    match subject.kind:
        case "signal":
            return f"xnb.plot.signal({inputs}[0], ({values}).sum(0), plt.gca(), limit={end})"
        case "volume":
            return f"xnb.plot.slices({inputs}[0], {values}, plt.figure(), limit={end})"
        case "text":
            return f"xnb.plot.tokens({list(subject.words[row])}, {values}, plt.gca(), limit={end})"
    under = f", under={_picture_source(subject, inputs)}, opacity={look.opacity:.2g}" if look.opacity < 1 else ""
    return f"xnb.plot.attribution({values}, plt.gca(), limit={end}{under})"


def _picture_source(subject: Subject, inputs: str) -> str:
    """Expression of Python for the picture in [0, 1]."""
    if (subject.mean, subject.std) == (0.0, 1.0):
        return f"{inputs}[0]"
    numbers = [f"torch.tensor({values}).view(-1, 1, 1)" for values in (subject.std, subject.mean)]
    return f"{inputs}[0] * {numbers[0]} + {numbers[1]}"


def _knob_source(name: str, value: object, x: Shaped[Tensor, "..."]) -> str:
    """Expression of Python for a knob's value; squares are written as the grid that they stand for."""
    if name == "regions":
        H, W = x.shape[2:]
        return f"square_grid({H}, {W}, {value})"
    return repr(value)
