"""The page for people, without a framework: what its template is filled with."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.core.answers import NOT_SHOWN, Answer
from services.core.overlays import draw_overlay, draw_seen
from services.core.questions import DEFAULT_METHOD, read_form
from services.core.refusals import Refusal
from services.core.replies import encode_base64
from services.core.service import Service

OFFERED = {
    "integrated_gradients": "Integrated gradients: the gradient, averaged on the way from black",
    "gradient": "Gradient: what a small change of each pixel would do",
    "smoothgrad": "SmoothGrad: the gradient, averaged over noisy copies",
    "grad_cam": "Grad-CAM: where the last layer's channels for the class are active",
    "lrp": "LRP: the score, handed back layer by layer",
    "occlusion": "Occlusion: what the score loses when a square is blackened",
    "edges": "Control: edges of the picture, which never saw the model",
    "random": "Control: random numbers",
}
MOST_METHODS = 4


def describe_page(token_name: str, token: str, shown: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the template is filled with."""
    methods = [{"name": name, "words": words} for name, words in OFFERED.items()]
    return {
        "methods": methods,
        "default": DEFAULT_METHOD,
        "token_name": token_name,
        "token": token,
        "not_shown": NOT_SHOWN,
        "results": [],
        "error": None,
        **(shown or {}),
    }


def answer_form(
    service: Service, fields: Mapping[str, Sequence[str]], files: Mapping[str, Sequence[bytes]]
) -> tuple[int, dict[str, Any]]:
    """What the page shows after its form was sent without JavaScript, and the status."""
    try:
        return 200, {"results": [_show_answer(service.answer(read_form(fields, files)))]}
    except Refusal as refusal:
        return int(refusal.status), {"error": refusal.facts()["error"]}


def _show_answer(answer: Answer) -> dict[str, Any]:
    overlay, _ = draw_overlay(answer.map, answer.seen)
    return {
        "overlay": encode_base64(overlay),
        "seen": encode_base64(draw_seen(answer.seen)),
        "facts": json.dumps(answer.facts),
    }
