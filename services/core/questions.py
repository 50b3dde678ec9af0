"""What a request asks: a picture and how it is to be explained, read out of a form, JSON, or KServe's instances."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from services.core.knobs import LARGEST_SEED, check_knobs, check_method
from services.core.refusals import refuse, require

DEFAULT_METHOD = "integrated_gradients"
MOST_INSTANCES = 4
FIELDS = ("picture", "picture_base64", "method", "target", "knobs", "seed")
LARGEST_TARGET = 999_999
_BASE64 = "base64.b64encode(open('photo.png', 'rb').read())"


@dataclass(frozen=True)
class Question:
    """A picture as it was sent, and what is asked about it.

    Attributes:
        target: class that is explained; None for the one that the model predicts.
        knobs: of the method, those that the service sets included.
    """

    content: bytes
    method: str = DEFAULT_METHOD
    target: int | None = None
    knobs: Mapping[str, Any] = field(default_factory=lambda: check_knobs(DEFAULT_METHOD, {}))
    seed: int = 0


def read_form(fields: Mapping[str, Sequence[str]], files: Mapping[str, Sequence[bytes]]) -> Question:
    """The question of a form: every field once, the picture as a file or as base64.

    Raises:
        Refusal: 400 for a form that is not as described, 422 for a method, class, knob or seed out of bounds.
    """
    for name, sent in [*fields.items(), *files.items()]:
        require(len(sent) == 1, 400, f"form: the field {name} must come once", len(sent), "send it once")
    _check_names(fields, FIELDS[1:])
    _check_names(files, FIELDS[:1])
    values: dict[str, Any] = {name: texts[0] for name, texts in fields.items()}
    for name in ("target", "seed"):
        values[name] = _read_whole(name, values.get(name, ""))
    values["knobs"] = load_json(values.get("knobs", "").strip() or "{}", "knobs")
    values["method"] = values.get("method") or None  # a field that was left empty
    if "picture_base64" in values:
        values["picture_base64"] = decode_base64(values["picture_base64"], "picture_base64")
    if "picture" in files:
        values["picture"] = files["picture"][0]
    return _make_question(values)


def read_json(body: bytes) -> Question:
    """The question of a JSON object, whose picture is base64.

    Raises:
        Refusal: as `read_form`.
    """
    return _read_object(load_json(body, "the body"), "the body")


def read_instances(body: bytes) -> list[Question]:
    """The questions of KServe's `{"instances": [...]}`, each with a picture as base64 or as `{"b64": ...}`.

    Raises:
        Refusal: as `read_form`.
    """
    asked = load_json(body, "the body")
    example = '{"instances": [{"picture": {"b64": "..."}}]}'
    instances = asked.get("instances") if isinstance(asked, dict) else None
    if not isinstance(instances, list):
        return refuse(400, "the body must be an object with instances", asked, example)
    count = len(instances)
    require(count > 0, 400, "instances must hold at least one", count, example)
    require(count <= MOST_INSTANCES, 422, f"instances: at most {MOST_INSTANCES} a request", count, "several requests")
    return [_read_object(instance, "an instance") for instance in instances]


def _read_object(asked: object, who: str) -> Question:
    if not isinstance(asked, dict):
        return refuse(400, f"{who} must be an object", asked, '{"picture": "<base64>"}')
    _check_names(asked, FIELDS)
    values = dict(asked)
    for name in ("picture", "picture_base64"):
        if name in values:
            values[name] = decode_base64(_unwrap(values[name]), name)
    return _make_question(values)


def _unwrap(written: object) -> object:
    """KServe writes bytes in JSON as `{"b64": "..."}`."""
    if isinstance(written, dict) and list(written) == ["b64"]:
        return written["b64"]
    return written


def _check_names(names: Mapping[str, object], known: Sequence[str]) -> None:
    for name in names:
        similar = get_close_matches(name, known, n=1) or list(known[:1])
        require(name in known, 400, "there is no field of that name, or not in this form", name, similar[0])


def _make_question(values: Mapping[str, Any]) -> Question:
    sent = [values[name] for name in ("picture", "picture_base64") if name in values]
    rule = "there must be one picture: as a file, or as base64"
    require(len(sent) == 1, 400, rule, f"{len(sent)} pictures", "curl -F picture=@photo.png ...")
    method = DEFAULT_METHOD if values.get("method") is None else check_method(values["method"])
    knobs = {} if values.get("knobs") is None else values["knobs"]
    require(isinstance(knobs, dict), 400, "knobs must be an object", knobs, 'knobs={"steps": 32}')
    return Question(
        sent[0], method, check_target(values.get("target")), check_knobs(method, knobs), _check_seed(values.get("seed"))
    )


def check_target(target: object) -> int | None:
    """Return the class that is asked for, None for the predicted one; whether the model has it is seen later."""
    if target is None:
        return None
    whole = isinstance(target, int) and not isinstance(target, bool) and 0 <= target <= LARGEST_TARGET
    require(whole, 422, "target must be the index of a class, from 0 on", target, "target=0")
    return int(target)  # type: ignore[call-overload]


def _check_seed(seed: object) -> int:
    if seed is None:
        return 0
    whole = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= LARGEST_SEED
    require(whole, 422, f"seed must be a whole number from 0 to {LARGEST_SEED}", seed, "seed=0")
    return int(seed)  # type: ignore[call-overload]


def _read_whole(name: str, written: str) -> int | str | None:
    """A whole number of a form; what is none is left to be refused as it was written."""
    text = written.strip()
    if not text:
        return None
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        return int(text)
    return text


def decode_base64(written: object, name: str) -> bytes:
    """The bytes of a base64 text; a `data:` address of a picture is taken as well."""
    if not isinstance(written, str):
        return refuse(400, f"{name} must be base64 text", written, _BASE64)
    start = "base64,"
    text = written.split(start, 1)[1] if written.startswith("data:") and start in written else written
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:  # a ValueError for letters that are not ASCII
        return refuse(400, f"{name} must be base64", str(error), _BASE64)


def load_json(written: bytes | str, who: str) -> Any:
    """JSON as the standard has it: no NaN, no names twice, not too deep.

    Raises:
        Refusal: 400.
    """
    try:
        text = written.decode("utf-8") if isinstance(written, bytes) else written
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_twice)
    except (ValueError, RecursionError) as error:
        return refuse(400, f"{who} must be JSON", f"{type(error).__name__}: {error}", '{"picture": "<base64>"}')


def _refuse_constant(name: str) -> None:
    refuse(400, "JSON has no numbers that are infinite or none", name, "a finite number")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    names = [name for name, _ in pairs]
    twice = [name for name in found if names.count(name) > 1]
    require(not twice, 400, "a name must stand once in an object", twice[:3], "send it once")
    return found
