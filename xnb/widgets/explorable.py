"""What the explorer takes: inputs that can be drawn, words told from steps, pictures that others can stand beside."""

from dataclasses import replace

from xnb.access.units import INSTANCES, see_axes
from xnb.check import require
from xnb.widgets.explained import KINDS, Subject


def check_explorable(subject: Subject) -> None:
    """Refuse what cannot be drawn: bags of instances, and inputs of six axes."""
    x = subject.x
    hint = "xnb.widgets.attention(model, data)"
    is_bag = subject.evidence is not None or (x.ndim == 5 and see_axes(x, subject.model) == INSTANCES)
    require(not is_bag, "explore: inputs must not be bags of instances", x, hint)
    wrapped, flat = f"model(x.unflatten(1, {tuple(x.shape[1:])}))", "x.flatten(1)"
    if x.ndim == 1:
        wrapped, flat = "model(x[:, 0])", "x[:, None]"
    hint = f"xnb.widgets.explore(lambda x: {wrapped}, {flat})"
    require(x.ndim in KINDS, "explore: inputs have 2 to 5 axes, the first that of the inputs", x, hint)


def settle_axes(subject: Subject) -> Subject:
    """Return the same; embeddings without words are told from signals by the model, and get numbers for words."""
    x = subject.x
    if subject.kind not in ("signal", "volume"):
        return subject
    axes = see_axes(x, subject.model)
    if axes == INSTANCES:
        numbers = tuple(str(place) for place in range(x.shape[1]))
        return replace(subject, words=(numbers,) * len(x))
    return replace(subject, assumed=axes is None)


def check_uploadable(subject: Subject) -> None:
    """Refuse a button for pictures where no picture from a file can stand beside the inputs."""
    x = subject.x
    is_picture = subject.kind == "picture" and x.shape[1] in (1, 3)
    rule = "explore: only pictures of 1 or 3 channels can be uploaded beside the inputs"
    require(is_picture, rule, x, "xnb.widgets.explore(model, x)  # without upload")
    rule = "explore: what else the model takes has a row for each input, and none for a picture that is uploaded"
    require(not subject.needs_rows, rule, x, "xnb.widgets.explore(model, x)  # without upload")
