"""Answers as bytes: the form that the client likes, floats that lose nothing, colours that say what they mean.

Tests: services.core.replies, services.core.overlays, services.core.refusals, services.core.statuses
"""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import xnb
from services.core.answers import Answer
from services.core.overlays import draw_overlay, draw_seen
from services.core.refusals import Refusal, hand_on_refusal, refuse
from services.core.replies import FORMS, JSON, NPZ, PNG, choose_form, write_answer, write_json, write_refusal
from services.core.statuses import explain_status

FACTS = {
    "model": {"name": "tiny", "sha256": "ab"},
    "method": {"name": "gradient"},
    "target": {"index": 1, "name": "vélo, red", "logit": 0.1, "probability": 1e-12},
    "gap": None,
    "standard_error": 0.25,
    "seed": 3,
    "seconds": 0.5,
}


@pytest.fixture
def answer():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((3, 8, 8)).astype(np.float32)
    return Answer(FACTS, np.float32([0.1, -1e-30]), a, rng.random((3, 8, 8)).astype(np.float32))


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("image/png", PNG),
        ("IMAGE/*", PNG),
        ("application/x-npz, application/json;q=0.5", NPZ),
        ("application/*", JSON),
        ("application/json;q=0, */*", PNG),
        ("image/png;q=0.4, application/json;q=0.5", JSON),
        ("text/html, image/png ; q=0.1", PNG),
    ],
)
def test_the_form_that_is_liked_best(accept, form):
    assert choose_form(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "image/jpeg", "*/*;q=0", "application/json;q=2", "nonsense", ",", ";"])
def test_no_form_that_is_accepted(accept):
    with pytest.raises(Refusal) as refused:
        choose_form(accept)
    assert refused.value.status == 406


def test_json_loses_nothing(answer):
    facts = json.loads(write_answer(answer, JSON).body)
    part = facts["map"]
    again = np.frombuffer(base64.b64decode(part["base64"]), part["dtype"]).reshape(part["shape"])
    assert np.array_equal(again, answer.map)
    assert np.array_equal(np.float32(facts["logits"]), answer.logits)
    assert facts["target"]["probability"] == 1e-12


def test_json_has_no_numbers_that_are_none():
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": float("nan")})


def test_npz_is_read_without_pickle(answer):
    arrays = np.load(io.BytesIO(write_answer(answer, NPZ).body), allow_pickle=False)
    assert np.array_equal(arrays["map"], answer.map)
    assert np.array_equal(arrays["seen"], answer.seen)
    assert json.loads(str(arrays["facts"])) == FACTS


def test_png_has_the_facts_in_its_headers(answer):
    reply = write_answer(answer, PNG)
    assert reply.kind == PNG
    headers = reply.headers
    assert (headers["X-Target"], headers["X-Gap"], headers["X-Standard-Error"]) == ("1", "null", "0.25")
    assert headers["X-Class"] == "v%C3%A9lo%2C%20red"
    assert float(headers["X-Probability"]) == 1e-12
    assert all(value.isascii() and "\n" not in value for value in headers.values())


def test_red_speaks_for_blue_against_and_white_says_nothing():
    """On a white picture: the map's own colours, three quarters of them; the scale ends at the largest value."""
    a = np.zeros((1, 2, 2), np.float32)
    a[0, 0] = [2, -2]
    png, scale = draw_overlay(a, np.ones((3, 2, 2), np.float32))
    colours = np.asarray(Image.open(io.BytesIO(png))).astype(int)
    side = colours.shape[0] // 2
    red, blue, nothing = colours[0, 0], colours[0, side], colours[side, 0]
    assert scale.end == 2
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert nothing.min() > 240


def test_the_map_is_summed_over_channels():
    a = np.float32([[[1.0, 0]], [[-1.0, 0]], [[0.5, 0]]])
    _, scale = draw_overlay(a, np.ones((3, 1, 2), np.float32))
    assert scale.end == 0.5


def test_the_picture_that_was_seen_is_shown_as_it_is():
    seen = np.float32(np.random.default_rng(0).integers(0, 256, (1, 256, 256)) / 255)
    shown = np.asarray(Image.open(io.BytesIO(draw_seen(seen))))
    assert np.array_equal(shown[..., 0], np.uint8((seen[0] * 255).round()))


def test_a_refusal_has_three_parts_and_its_headers():
    with pytest.raises(Refusal) as refused:
        refuse(503, "a rule", torch.zeros(2, 3), "this", Retry_After="2")
    reply = write_refusal(refused.value)
    assert (reply.status, reply.headers) == (503, {"Retry-After": "2"})
    assert json.loads(reply.body) == {"error": {"rule": "a rule", "got": "float32[2,3]", "try": "this"}}


def test_what_xnb_refuses_is_handed_on_in_its_own_words():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)).eval()
    try:
        xnb.attribute(model, torch.zeros(1, 3, 2, 2), 0, "gradent")
    except ValueError as error:
        with pytest.raises(Refusal) as refused:
            hand_on_refusal(error, 422, "nothing")
    assert refused.value.rule == str(error_lines("gradent", model)[0])
    assert refused.value.got == "'gradent'"
    assert "gradient" in refused.value.way_out


def error_lines(name, model):
    with pytest.raises(ValueError, match="name") as refused:
        xnb.attribute(model, torch.zeros(1, 3, 2, 2), 0, name)
    return str(refused.value).split("\n")


def test_an_error_that_is_no_refusal_is_named_by_its_type():
    with pytest.raises(Refusal) as refused:
        hand_on_refusal(KeyError("x" * 1000), 422, "method=gradient")
    assert "KeyError" in refused.value.rule
    assert len(refused.value.got) <= 500
    assert refused.value.way_out == "method=gradient"


def test_what_a_framework_refuses():
    refusal = explain_status(405, "GET", ["POST", "OPTIONS", "HEAD"])
    assert refusal.headers == {"Allow": "HEAD, POST"}
    assert explain_status(418).status == 418
    assert len({explain_status(status).rule for status in (400, 403, 404, 413, 415)}) == 5


def test_there_are_three_forms():
    assert FORMS == (JSON, PNG, NPZ)
