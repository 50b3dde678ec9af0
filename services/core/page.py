"""The page for people, without a framework: what its template is filled with, numbers in words included."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.core.answers import NOT_SHOWN, Answer
from services.core.controls import CONTROLS
from services.core.overlays import draw_overlay, draw_seen
from services.core.questions import DEFAULT_METHOD, read_form
from services.core.refusals import Refusal, require
from services.core.replies import encode_base64
from services.core.service import Service

MOST_METHODS = 4
OFFERED = {
    "integrated_gradients": ("Integrated gradients", "the gradient, averaged on the way from black to the picture"),
    "gradient": ("Gradient", "what a small change of each pixel would do"),
    "smoothgrad": ("SmoothGrad", "the gradient, averaged over noisy copies"),
    "grad_cam": ("Grad-CAM", "where the last layer's channels for the class are active"),
    "lrp": ("LRP", "the score, handed back layer by layer"),
    "guided_backprop": ("Guided backprop", "a gradient that ReLUs change; known to repeat the edges"),
    "occlusion": ("Occlusion", "what the score loses when a square is black"),
    "rise": ("RISE", "the score under many random masks"),
}
CHECKED = ("integrated_gradients", "grad_cam")
CONTROL_WORDS = {
    "edges": ("Edges", "of the picture: never saw the model"),
    "random": ("Random", "numbers that know neither the picture nor the model"),
}
_CLEARLY = 0.9  # of a control's score: one picture and one random map tell no smaller lead from luck

Fields = Mapping[str, Sequence[str]]
Files = Mapping[str, Sequence[bytes]]


def describe_page(token_name: str, token: str, shown: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the template is filled with: the form, and what was asked before."""
    asked: dict[str, Any] = {"methods": CHECKED, "control": CONTROLS[0], "target": ""}
    page: dict[str, Any] = {"token_name": token_name, "token": token, "cards": [], "error": None}
    page.update({**asked, **(shown or {})})
    page["not_shown"] = NOT_SHOWN
    page["offered"] = list(_list_choices(OFFERED, page["methods"]))
    page["controls"] = list(_list_choices(CONTROL_WORDS, [page["control"]]))
    page["most_methods"] = MOST_METHODS
    return page


def _list_choices(words: Mapping[str, tuple[str, str]], selected: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name, (title, text) in words.items():
        yield {"name": name, "title": title, "text": text, "chosen": name in selected}


def answer_form(service: Service, fields: Fields, files: Files) -> tuple[int, dict[str, Any]]:
    """What the page shows after its form was sent, and the status: a card for each method and for the control."""
    methods = list(fields.get("method", [DEFAULT_METHOD]))
    control = list(fields.get("control", []))
    shown = {"methods": methods, "control": (control or CONTROLS[:1])[0], "target": fields.get("target", [""])[0]}
    rest = {name: values for name, values in fields.items() if name not in ("method", "control")}
    try:
        rule = f"choose at most {MOST_METHODS} methods"
        require(len(methods) <= MOST_METHODS, 422, rule, f"{len(methods)} methods", "fewer of them")
        cards = list(_make_cards(service, [*methods, *control[:1]], rest, files))
    except Refusal as refusal:
        return int(refusal.status), {**shown, "error": refusal.facts()["error"]}
    return 200, {**shown, "cards": cards}


def _make_cards(service: Service, names: Sequence[str], rest: Fields, files: Files) -> Iterator[dict[str, Any]]:
    """The picture as the model saw it, then a card a method; one that refuses says so in its place.

    Raises:
        Refusal: nothing could be explained, for the first reason that was given.
    """
    refusals: list[Refusal] = []
    seen = False
    for name in names:
        try:
            answer = service.answer(read_form({**rest, "method": [name]}, files))
        except Refusal as refusal:
            if int(refusal.status) != 422:  # no matter of the method
                raise
            refusals.append(refusal)
            yield _describe_refused(name, refusal)
            continue
        if not seen:
            yield _describe_seen(answer)
            seen = True
        yield _describe_map(name, answer)
    if refusals and not seen:
        raise refusals[0]


def _describe_seen(answer: Answer) -> dict[str, Any]:
    """The card of the picture, with the classes that the model finds in it."""
    lines = [f"{best['name']} ({best['index']}): {_percent(best['probability'])}" for best in answer.facts["predicted"]]
    picture = encode_base64(draw_seen(answer.seen))
    alt = f"the picture as the model saw it: {lines[0]}"
    return {
        "title": "What the model saw",
        "text": "and what it finds in it",
        "png": picture,
        "alt": alt,
        "lines": lines,
    }


def _describe_map(name: str, answer: Answer) -> dict[str, Any]:
    """The card of a map: the overlay, and the numbers that say how far it can be trusted."""
    title, text = {**OFFERED, **CONTROL_WORDS}.get(name, (name, ""))
    overlay, scale = draw_overlay(answer.map, answer.seen)
    target = answer.facts["target"]
    lines = [f"for {target['name']} ({target['index']}), {_percent(target['probability'])}"]
    lines += [_describe_scores(name, answer.facts["controls"])]
    lines += [f"colours end at ±{scale.end:.2g}" + (f"; {scale.beyond}" if scale.beyond else "")]
    lines += _list_numbers(answer.facts)
    verdict, good = _judge(name, answer.facts["controls"])
    card = {"title": title, "text": text, "png": encode_base64(overlay), "alt": f"{title}: map over the picture"}
    return {**card, "lines": lines, "broken": answer.facts["broken"], "verdict": verdict, "good": good}


def _list_numbers(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts["gap"] is not None:
        yield f"gap {_percent(facts['gap'])}: of the change of score, or of a hundredth of all shares if that is more"
    if facts["standard_error"] is not None:
        yield f"standard error: {_percent(facts['standard_error'])} of the map"
    passes = facts["passes"]["method"]
    yield f"{passes['forward'] + passes['backward']} passes, {facts['seconds']:.1f} s with all checks"


def _judge(name: str, controls: Mapping[str, Any]) -> tuple[str, bool | None]:
    """Whether the map clearly beats what never saw the model, in words; None where that is not known."""
    if name in CONTROLS:
        return "never saw the model", None
    own = controls["method"]
    others = {control: controls[control] for control in CONTROLS}
    if own is None or None in others.values():
        return "not comparable with the controls", None
    lost = [control for control, score in others.items() if own >= _CLEARLY * score]
    if lost:
        return f"✗ not clearly better than {' and '.join(lost)}", False
    return f"✓ better than {' and '.join(CONTROLS)}", True


def _describe_scores(name: str, controls: Mapping[str, Any]) -> str:
    """Deletion of the map and of the controls, in one line."""
    if name in CONTROLS:
        return f"deletion {_number(controls[name])}"
    scores = ", ".join(f"{control} {_number(controls[control])}" for control in CONTROLS)
    return f"deletion {_number(controls['method'])} ({scores}); lower is better"


def _describe_refused(name: str, refusal: Refusal) -> dict[str, Any]:
    title, text = {**OFFERED, **CONTROL_WORDS}.get(name, (name[:40], ""))
    return {"title": title, "text": text, "refused": refusal.facts()["error"]}


def _percent(share: float) -> str:
    return f"{100 * share:.2g}\N{NO-BREAK SPACE}%"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2g}"
