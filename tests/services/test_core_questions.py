"""What a request asks is read, and what it must not ask is refused.

Tests: services.core.questions, services.core.knobs
"""

import base64
import json
from inspect import signature

import pytest

from services.core.knobs import BOUNDS, DEFAULTS, check_knobs, list_knobs
from services.core.questions import (
    DEFAULT_METHOD,
    decode_base64,
    load_json,
    read_form,
    read_instances,
    read_json,
)
from services.core.refusals import Refusal
from xnb.methods import METHODS

TEXT = base64.b64encode(b"abc").decode()


def status_of(read, *arguments):
    with pytest.raises(Refusal) as refused:
        read(*arguments)
    return int(refused.value.status)


def form(**fields):
    return {name: [value] for name, value in fields.items()}


def test_a_form_and_json_ask_the_same():
    knobs = {"steps": 8}
    fields = form(method="integrated_gradients", target="3", seed="5", knobs=json.dumps(knobs))
    sent = read_form(fields, {"picture": [b"abc"]})
    written = {"picture": TEXT, "method": "integrated_gradients", "target": 3, "seed": 5, "knobs": knobs}
    assert sent == read_json(json.dumps(written).encode())
    assert (sent.content, sent.method, sent.target, sent.seed) == (b"abc", "integrated_gradients", 3, 5)
    assert sent.knobs == knobs


def test_what_is_not_said_has_a_default():
    asked = read_form(form(target="", seed=" ", knobs="", method=""), {"picture": [b"abc"]})
    assert (asked.method, asked.target, asked.seed) == (DEFAULT_METHOD, None, 0)
    assert asked.knobs == DEFAULTS[DEFAULT_METHOD]
    assert read_json(json.dumps({"picture": TEXT, "target": None, "knobs": None}).encode()) == asked


def test_kserve_writes_bytes_in_an_object():
    asked = read_instances(json.dumps({"instances": [{"picture": {"b64": TEXT}}, {"picture": TEXT}]}).encode())
    assert [question.content for question in asked] == [b"abc", b"abc"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, []),
        (400, {"instances": {}}),
        (400, {"instances": []}),
        (400, {"instances": [3]}),
        (422, {"instances": [{"picture": TEXT}] * 5}),
    ],
)
def test_instances_that_are_wrong(status, body):
    assert status_of(read_instances, json.dumps(body).encode()) == status


def test_one_picture_and_no_more():
    assert status_of(read_form, {}, {}) == 400
    assert status_of(read_form, form(picture_base64=TEXT), {"picture": [b"abc"]}) == 400
    assert status_of(read_form, {}, {"picture": [b"abc", b"abc"]}) == 400
    assert status_of(read_json, json.dumps({"picture": TEXT, "picture_base64": TEXT}).encode()) == 400


def test_an_unknown_field_and_a_picture_as_text():
    assert status_of(read_form, form(image="x"), {"picture": [b"abc"]}) == 400
    assert status_of(read_form, form(picture="abc"), {}) == 400


@pytest.mark.parametrize("target", ["-1", "1.5", "cat", "9" * 30, "٣", "1_0", "+1"])
def test_a_class_of_a_form_that_is_none(target):
    assert status_of(read_form, form(target=target), {"picture": [b"abc"]}) == 422


@pytest.mark.parametrize("value", [True, 1.0, "1", -1, 10**7, [1]])
@pytest.mark.parametrize("name", ["target", "seed"])
def test_a_class_or_seed_of_json_that_is_none(name, value):
    if (name, value) == ("seed", 10**7):
        value = 2**31
    assert status_of(read_json, json.dumps({"picture": TEXT, name: value}).encode()) == 422


@pytest.mark.parametrize("method", [0, False, "", [], "gradent", "__class__"])
def test_a_method_that_is_none(method):
    assert status_of(read_json, json.dumps({"picture": TEXT, "method": method}).encode()) == 422


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "NaN",
        '{"a": Infinity}',
        '{"a": 1, "a": 2}',
        "[" * 100_000,
        "9" * 5_000,
        b"\xff",
        '{"a": {"b":1,"b":2}}',
    ],
    ids=range(9),
)
def test_what_is_no_json(text):
    assert status_of(load_json, text, "the body") == 400


@pytest.mark.parametrize(
    "written", [TEXT, f"data:image/png;base64,{TEXT}", f" {TEXT[:2]}\n{TEXT[2:]}"], ids=["plain", "address", "lines"]
)
def test_base64(written):
    assert decode_base64(written, "picture") == b"abc"


@pytest.mark.parametrize("written", ["YWJ", "YW!j", "ÄÖÜß", 3, None, {"b64": 1, "x": 2}])
def test_what_is_no_base64(written):
    assert status_of(decode_base64, written, "picture") == 400


@pytest.mark.parametrize("method", METHODS)
def test_offered_knobs_are_knobs_of_the_method_and_its_defaults_are_within_bounds(method):
    parameters = signature(METHODS[method]).parameters
    for name, bound in list_knobs(method).items():
        default = parameters[name].default
        assert default is None or name == "baseline" or bound.accepts(default), name
    assert all(list_knobs(method)[name].accepts(value) for name, value in DEFAULTS.get(method, {}).items())


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("steps", [1, 256], [0, 257, -1, 2.0, "8", True, None, [8], float("inf")]),
        ("baseline", ["zero", "blur"], ["black", 0, 0.5, None]),
    ],
)
def test_bounds(name, inside, outside):
    for value in inside:
        assert check_knobs("integrated_gradients", {name: value})[name] == value
    for value in outside:
        assert status_of(check_knobs, "integrated_gradients", {name: value}) == 422


@pytest.mark.parametrize("name", ["chunk", "tolerance", "standard_error", "regions", "seed", "model", "x"])
def test_what_could_ask_for_an_hour_is_not_offered(name):
    assert name not in BOUNDS
    assert status_of(check_knobs, "integrated_gradients", {name: 1}) == 422


def test_numbers_flags_and_names_have_bounds():
    assert check_knobs("smoothgrad", {"sigma": 1})["sigma"] == 1
    assert status_of(check_knobs, "smoothgrad", {"sigma": 0}) == 422
    assert status_of(check_knobs, "smoothgrad", {"sigma": float("nan")}) == 422
    assert check_knobs("grad_cam", {"signed": True, "layer": "head"}) == {"signed": True, "layer": "head"}
    assert status_of(check_knobs, "grad_cam", {"signed": 1}) == 422
    assert status_of(check_knobs, "grad_cam", {"layer": ""}) == 422
    assert status_of(check_knobs, "grad_cam", {"layer": "a" * 101}) == 422
