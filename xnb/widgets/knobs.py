"""A method's knobs as controls, read from its signature."""

from collections.abc import Mapping
from contextlib import suppress
from inspect import Parameter, signature
from typing import Any, Literal, get_args, get_origin, get_type_hints

import ipywidgets as W
import torch
from torch import nn

from xnb.access.layout.seen_maps import see_outputs
from xnb.access.model_call import chunk_logits
from xnb.methods import METHODS
from xnb.methods.lrp_rules import COMPOSITES
from xnb.methods.seen_attention import see_attention
from xnb.widgets.explained import Subject
from xnb.widgets.panel import AUTOMATIC, make_checkbox, make_dropdown, make_slider, make_slider_of

_SQUARES = 7  # along each side of a picture
_MAX_SQUARES = 16
_EXACT_SQUARES = 3  # of exact Shapley values: 512 passes; with 7 along a side there would be 2^49
_MAX_EXACT_SQUARES = 4
_WITHOUT_CONTROL = {"chunk"}  # changes no result
# Values that a knob which may be None can be set to.
_INT_CHOICES = [AUTOMATIC, 1, 2, 4, 8, 16, 32, 64, 128]
_SHARE_CHOICES = [AUTOMATIC, 0.3, 0.1, 0.03, 0.01]


def make_knob_controls(method: str, subject: Subject) -> dict[str, W.Widget]:
    """Make a control for each knob that one control can move."""
    types = get_type_hints(METHODS[method])
    controls = {}
    for name, parameter in _visible_knobs(method).items():
        control = _special_control(method, name, parameter.default, subject)
        if control is None:
            control = _control_from_annotation(name, parameter.default, types[name])
        if control is not None:
            controls[name] = control
    return controls


def _visible_knobs(method: str) -> Mapping[str, Parameter]:
    """Keyword parameters of the method that change its result."""
    parameters = signature(METHODS[method]).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY and name not in _WITHOUT_CONTROL
    }


def _special_control(method: str, name: str, default: Any, subject: Subject) -> W.Widget | None:
    """Make the control of a knob whose range depends on the input or the model."""
    pictures = subject.kind == "picture"
    # By their types alone, these knobs would get a range that is meaningless, or too slow to try.
    match name:
        case "regions" if pictures:
            return _squares_control(method)
        case "baseline" if isinstance(default, int | float):
            return _baseline_control(default, subject)
        case "layer":
            return make_dropdown(name, [AUTOMATIC, *_layers_with_maps(subject)], None)
        case "composite":
            return make_dropdown(name, sorted(COMPOSITES), default)
        case "window" | "stride" if pictures:
            return _length_control(name, subject)
        case "seed":
            return make_slider(W.IntSlider, name, default, 0, 20)
        case "block":
            numbers = range(_count_attentions(subject, method))
            return make_dropdown(name, [("last", -1), *((str(number), number) for number in numbers)], -1)
    return None


def _squares_control(method: str) -> W.Widget:
    """Make the control of the number of squares; exact Shapley values need twice the passes for each."""
    if method == "exact_shapley":
        return make_slider(W.IntSlider, "squares", _EXACT_SQUARES, 2, _MAX_EXACT_SQUARES)
    return make_slider(W.IntSlider, "squares", _SQUARES, 2, _MAX_SQUARES)


def _baseline_control(default: Any, subject: Subject) -> W.Widget:
    """Make the control of a baseline, from the smallest to the largest value of the inputs and over zero."""
    smallest, largest = subject.x.aminmax()
    low = float(smallest)
    high = float(largest)
    step = (high - low) / 20
    return make_slider(W.FloatSlider, "baseline", default, min(low, 0), max(high, 0), step)


def _length_control(name: str, subject: Subject) -> W.Widget:
    """Make the control of a number of pixels; by default the method finds one that suits the picture."""
    longest = max(1, min(subject.x.shape[2:]) // 2)
    options = [AUTOMATIC, *range(1, longest + 1)]
    return make_slider_of(name, options, AUTOMATIC)


def _count_attentions(subject: Subject, method: str) -> int:
    """Number of attentions over tokens of which the method reads one; 0 where it sees none."""
    with suppress(ValueError):
        return sum(see_attention(subject.model, subject.x, method).over_tokens)
    return 0


def _control_from_annotation(name: str, default: Any, annotation: object) -> W.Widget | None:
    """Make the control of a knob whose annotation and default say which values it takes."""
    if get_origin(annotation) is Literal:
        return make_dropdown(name, list(get_args(annotation)), default)
    if name == "steps":  # with a default of None, which means 32
        return make_slider(W.IntSlider, name, default or 32, 1, 128)
    if default is None:
        return _optional_control(name, annotation)
    match default:
        case bool():
            return make_checkbox(name, default)
        case int():
            step = max(1, default // 32)
            return make_slider(W.IntSlider, name, default, step, 4 * default, step)
        case float():
            return make_slider(W.FloatSlider, name, default, 0, 4 * default, default / 20)
    return None


def _optional_control(name: str, annotation: object) -> W.Widget | None:
    """Make the control of a number that may be None."""
    if annotation == int | None:
        return make_dropdown(name, _INT_CHOICES, None)
    if annotation == float | None:
        return make_dropdown(name, _SHARE_CHOICES, None)
    return None


def _layers_with_maps(subject: Subject) -> list[str]:
    """Names of the modules that return maps of more than one place."""
    if not isinstance(subject.model, nn.Module):
        return []
    names = [name for name, _ in subject.model.named_modules() if name]
    with subject.run_input(0) as x, torch.no_grad():
        inputs = x.clone()
        with see_outputs(subject.model, inputs, *names) as seen:
            chunk_logits(subject.model, inputs)
    maps = {name: seen.find_maps(name) for name in names}
    return [name for name, found in maps.items() if found is not None and found.shape[2:].numel() > 1]
