"""The OpenAPI description of the service, one for both apps; `python -m services.core.openapi` writes its file."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from services.core.knobs import BOUNDS, LARGEST_SEED
from services.core.questions import DEFAULT_METHOD, LARGEST_TARGET, MOST_INSTANCES
from services.core.replies import JSON, NPZ, PNG
from xnb.folders import replace_file
from xnb.methods import METHODS

FILE = Path(__file__).parent / "openapi.json"
_FORM = "multipart/form-data"
_FIELDS = "application/x-www-form-urlencoded"
_WORDS = {
    "400": "The request is broken, or the picture is.",
    "404": "There is no model of that name.",
    "406": "None of the forms that the client accepts is made here.",
    "413": "Too many bytes, or too many pixels.",
    "415": "The body is no form and no JSON, or the picture no PNG, JPEG or WebP by its content.",
    "422": "An unknown method, a knob out of bounds, a class that is not there, or a method that refuses the model.",
    "503": "The model is being loaded, or too many requests wait already; Retry-After says when to come again.",
    "504": "It took too long.",
}

Schema = dict[str, Any]


@cache
def describe_service() -> Schema:
    """The description as it is served."""
    return json.loads(FILE.read_text())


def make_description() -> Schema:
    """The description, made of the bounds and names that the service itself uses."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Why did this model decide that?",
            "version": "1",
            "description": "Predictions of a classifier, explained, with what is needed to doubt the explanation.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": _list_paths(),
        "components": {"schemas": _list_schemas()},
    }


def _list_paths() -> Schema:
    name = {"name": "name", "in": "path", "required": True, "schema": _text(), "description": "as /v1/models lists it"}
    explained = _object({"explanations": _list_of(_refer("Explanation"))})
    predicted = _object({"predictions": _list_of(_refer("Prediction"))})
    kserve = ("400", "404", "406", "413", "422", "415", "503", "504")
    return {
        "/healthz": {"get": _operation("Whether the process answers", _status("ok"))},
        "/readyz": {"get": _operation("Whether the model is loaded", _status("ready"), not_ready=True)},
        "/openapi.json": {"get": _operation("This description", {"type": "object"})},
        "/v1/models": {"get": _operation("Names of the models", _object({"models": _list_of(_text())}), ("503",))},
        "/v1/models/{name}": {
            "parameters": [name],
            "get": _operation(
                "Whether a model is ready", _object({"name": _text(), "ready": {"type": "boolean"}}), ("404", "503")
            ),
        },
        "/v1/models/{name}:explain": {
            "parameters": [name],
            "post": {**_operation("KServe's explain", explained, kserve), **_take({JSON: _refer("Instances")})},
        },
        "/v1/models/{name}:predict": {
            "parameters": [name],
            "post": {**_operation("KServe's predict", predicted, kserve), **_take({JSON: _refer("Instances")})},
        },
        "/explain": {"post": _describe_explain()},
    }


def _describe_explain() -> Schema:
    refused = ("400", "406", "413", "415", "422", "503", "504")
    operation = _operation("Predict and explain one picture", _refer("Explanation"), refused)
    other_forms = {PNG: {"schema": _bytes()}, NPZ: {"schema": _bytes()}}
    operation["responses"]["200"]["content"].update(other_forms)
    bodies = {_FORM: _refer("Form"), _FIELDS: _refer("FieldForm"), JSON: _refer("Question")}
    return {**operation, **_take(bodies)}


def _operation(summary: str, answer: Schema, refused: tuple[str, ...] = (), *, not_ready: bool = False) -> Schema:
    """An operation that answers with JSON, and how it may refuse."""
    responses = {"200": _respond("The answer.", answer)}
    for status in refused:
        responses[status] = _respond(_WORDS[status], _refer("Refusal"))
    if not_ready:
        responses["503"] = _respond(
            "Not yet, or not any more.", _object({"status": _one_of("loading", "stopping", "failed")})
        )
    if "503" in responses:
        after = {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}
        responses["503"]["headers"] = {"Retry-After": after}
    # an unknown Host is refused everywhere
    responses.setdefault("400", _respond(_WORDS["400"], _refer("Refusal")))
    return {"summary": summary, "responses": responses}


def _respond(words: str, schema: Schema) -> Schema:
    return {"description": words, "content": {JSON: {"schema": schema}}}


def _take(bodies: dict[str, Schema]) -> Schema:
    content = {kind: {"schema": schema} for kind, schema in bodies.items()}
    return {"requestBody": {"required": True, "content": content}}


def _list_schemas() -> Schema:
    knobs = _object({name: bound.schema() for name, bound in BOUNDS.items()}, required=())
    base64 = {"type": "string", "contentEncoding": "base64", "minLength": 1}
    asked = {
        "method": {**_one_of(*METHODS), "default": DEFAULT_METHOD},
        "target": {**_whole(0, LARGEST_TARGET), "description": "class that is explained; by default the predicted one"},
        "seed": {**_whole(0, LARGEST_SEED), "default": 0},
    }
    written = {"type": "string", "contentMediaType": JSON, "contentSchema": _refer("Knobs")}
    instance = {"picture": {"anyOf": [base64, _object({"b64": base64})]}, **asked, "knobs": _refer("Knobs")}
    return {
        "Knobs": knobs,
        "Form": _object({"picture": _bytes(), "picture_base64": base64, **asked, "knobs": written}, required=()),
        "FieldForm": _object({"picture_base64": base64, **asked, "knobs": written}, ("picture_base64",)),
        "Question": _object({"picture": base64, **asked, "knobs": _refer("Knobs")}, ("picture",)),
        "Instance": _object(instance, ("picture",)),
        "Instances": _object(
            {"instances": {**_list_of(_refer("Instance")), "minItems": 1, "maxItems": MOST_INSTANCES}}
        ),
        "Refusal": _object({"error": _object({"rule": _text(), "got": _text(), "try": _text()})}),
        "Class": _object({"index": _whole(0), "name": _text(), "logit": _number(), "probability": _number()}),
        "Passes": _object({"forward": _whole(0), "backward": _whole(0)}),
        "Picture": _describe_picture(),
        "Controls": _describe_controls(),
        "Prediction": _describe_prediction(),
        "Explanation": _describe_explanation(),
    }


def _describe_picture() -> Schema:
    kind = _one_of("PNG", "JPEG", "WEBP")
    sides = {"width": _whole(1), "height": _whole(1)}
    return _object({"kind": kind, **sides, "sha256": _text(), "seen": _list_of(_whole(1))})


def _describe_controls() -> Schema:
    """The map and what knows nothing of the model, measured alike."""
    scores = {name: _or_null(_number()) for name in ("method", "edges", "random")}
    beaten = _object({name: _or_null({"type": "boolean"}) for name in ("edges", "random")})
    beaten["description"] = "whether the map's score is lower; of one picture and one random map, a small lead is luck"
    facts = {name: _text() for name in ("measure", "unit", "better", "impute")}
    why_not = {"type": "object", "additionalProperties": _text()}
    return _object({**facts, "steps": _whole(1), **scores, "beaten": beaten, "not_measured": why_not})


def _describe_prediction() -> Schema:
    model = _object({"name": _text(), "sha256": _text()})
    predicted = _list_of(_refer("Class"))
    facts = {"model": model, "picture": _refer("Picture"), "predicted": predicted, "logits": _list_of(_number())}
    return _object({**facts, "versions": {"type": "object", "additionalProperties": _text()}})


def _describe_explanation() -> Schema:
    facts = {
        "model": _object({"name": _text(), "sha256": _text(), "parameters": _whole(0)}),
        "picture": _refer("Picture"),
        "method": _object({"name": _text(), "knobs": {"type": "object"}, "paper": _text()}),
        "seed": _whole(0),
        "target": _refer("Class"),
        "predicted": _list_of(_refer("Class")),
        "baseline_output": {**_or_null(_number()), "description": "logit of the class at the method's baseline"},
        "gap": {
            **_or_null(_number()),
            "description": "by how much the sum of a complete map misses the change of score, as a share of it, "
            "or of a hundredth of the map's magnitudes where that is larger",
        },
        "conserved": {**_or_null(_number()), "description": "sum of a map that is to conserve the score, as a share"},
        "standard_error": {**_or_null(_number()), "description": "of a map of random draws, relative to the map"},
        "broken": {**_list_of(_text()), "description": "promises of the method that are missed by more than a tenth"},
        "layer": _or_null(_text()),
        "controls": _refer("Controls"),
        "lint": _describe_verdict(),
        "passes": _object({name: _refer("Passes") for name in ("method", "checks", "controls")}),
        "not_shown": _text(),
        "versions": {"type": "object", "additionalProperties": _text()},
        "seconds": _number(),
    }
    return _object({**facts, **_describe_arrays()})


def _describe_verdict() -> Schema:
    verdict = {"valid": {"type": "boolean"}, "reason": _text(), "caution": _text(), "passes": _whole(0)}
    return {**_object(verdict), "description": "of xnb.lint on the method, and the passes foreseen"}


def _describe_arrays() -> Schema:
    packed = {"shape": _list_of(_whole(1)), "dtype": _one_of("<f4"), "base64": _text()}
    picture = {"png": _text(), "scale": _number(), "beyond": _text()}
    raw = {**_object(packed), "description": "raw and signed; little-endian 32-bit floats, in base64"}
    return {"logits": _list_of(_number()), "map": raw, "overlay": _object(picture)}


def _object(properties: Schema, required: tuple[str, ...] | None = None) -> Schema:
    """An object with these properties and no others; all of them are required unless it is said which."""
    names = list(properties if required is None else required)
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": names} if names else schema


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def _status(word: str) -> Schema:
    return _object({"status": _one_of(word)})


def _text() -> Schema:
    return {"type": "string"}


def _bytes() -> Schema:
    return {"type": "string", "format": "binary"}


def _number() -> Schema:
    return {"type": "number"}


def _whole(least: int, most: int | None = None) -> Schema:
    schema = {"type": "integer", "minimum": least}
    return schema if most is None else {**schema, "maximum": most}


if __name__ == "__main__":
    with replace_file(FILE) as draft:
        draft.write_text(json.dumps(make_description(), indent=1) + "\n")
