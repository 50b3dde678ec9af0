"""Answers as bytes, in the form that the client accepts: JSON, a PNG with facts in its headers, or NPZ."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from services.core.answers import Answer
from services.core.overlays import draw_overlay
from services.core.refusals import Refusal, refuse

JSON = "application/json"
PNG = "image/png"
NPZ = "application/x-npz"
FORMS = (JSON, PNG, NPZ)  # the first is what is sent to who accepts anything


@dataclass(frozen=True)
class Reply:
    """What goes back to a client, before a framework makes a response of it."""

    body: bytes
    status: int = 200
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def choose_form(accept: str, forms: tuple[str, ...] = FORMS) -> str:
    """The form that a client likes best, by its `Accept` header.

    Raises:
        Refusal: 406, none of them.
    """
    likings = _read_accept(accept or "*/*")
    best = max(forms, key=lambda form: _find_liking(form, likings))  # the first of those that are liked alike
    if _find_liking(best, likings) > 0:
        return best
    return refuse(406, f"Accept must allow one of {', '.join(forms)}", accept, f"Accept: {forms[0]}")


def _read_accept(accept: str) -> dict[str, float]:
    likings = {}
    for entry in accept.split(","):
        kind, *parameters = [part.strip().lower() for part in entry.split(";")]
        weights = [part[2:] for part in parameters if part.startswith("q=")]
        likings[kind] = _read_weight(weights[0]) if weights else 1.0
    return likings


def _read_weight(written: str) -> float:
    try:
        weight = float(written)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def _find_liking(form: str, likings: Mapping[str, float]) -> float:
    """The weight of the most special entry that fits."""
    for kind in (form, form.split("/")[0] + "/*", "*/*"):
        if kind in likings:
            return likings[kind]
    return 0.0


def write_json(facts: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Facts as JSON: in ASCII, names in their order, no number that JSON does not have."""
    text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
    return Reply(text.encode() + b"\n", status, JSON, dict(headers or {}))


def write_refusal(refusal: Refusal) -> Reply:
    """A refusal as JSON."""
    return write_json(refusal.facts(), refusal.status, refusal.headers)


def list_facts(answer: Answer) -> dict[str, Any]:
    """All of an answer as JSON has it: arrays as base64 of little-endian 32-bit floats, which loses nothing."""
    overlay, scale = draw_overlay(answer.map, answer.seen)
    pictures = {
        "logits": answer.logits.tolist(),
        "map": encode_array(answer.map),
        "overlay": {"png": encode_base64(overlay), "scale": scale.end, "beyond": scale.beyond},
    }
    return {**answer.facts, **pictures}


def encode_array(values: NDArray[np.float32]) -> dict[str, Any]:
    """Shape, type and bytes: `np.frombuffer(base64.b64decode(base64), dtype).reshape(shape)` reads it."""
    little_endian = values.astype("<f4")
    return {"shape": list(values.shape), "dtype": "<f4", "base64": encode_base64(little_endian.tobytes())}


def encode_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def write_answer(answer: Answer, form: str) -> Reply:
    """An answer in one of `FORMS`."""
    if form == PNG:
        return _write_png(answer)
    if form == NPZ:
        return _write_npz(answer)
    return write_json(list_facts(answer))


def _write_png(answer: Answer) -> Reply:
    overlay, scale = draw_overlay(answer.map, answer.seen)
    facts = answer.facts
    headers = {
        "X-Model": facts["model"]["name"],
        "X-Model-SHA256": facts["model"]["sha256"],
        "X-Method": facts["method"]["name"],
        "X-Target": str(facts["target"]["index"]),
        "X-Class": quote(facts["target"]["name"]),
        "X-Logit": repr(facts["target"]["logit"]),
        "X-Probability": repr(facts["target"]["probability"]),
        "X-Gap": json.dumps(facts["gap"]),
        "X-Standard-Error": json.dumps(facts["standard_error"]),
        "X-Scale": repr(scale.end),
        "X-Seed": str(facts["seed"]),
        "X-Seconds": str(facts["seconds"]),
    }
    return Reply(overlay, kind=PNG, headers=headers)


def _write_npz(answer: Answer) -> Reply:
    file = io.BytesIO()
    facts = np.array(json.dumps(answer.facts, allow_nan=False))  # text, so that nobody has to allow pickle
    np.savez(file, map=answer.map, logits=answer.logits, seen=answer.seen, facts=facts)
    return Reply(file.getvalue(), kind=NPZ, headers={"Content-Disposition": 'attachment; filename="explanation.npz"'})
