"""A map beside maps that know nothing of the model, all measured alike: what does not beat them explains nothing."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

import xnb
from xnb.access.ledger import Passes, count_passes
from xnb.access.memo import remember_answers
from xnb.metrics import METRICS
from xnb.metrics.output_units import Link

MEASURE = "deletion"
STEPS = 8  # times that something is removed; each costs a pass for each of the three maps
CONTROLS = ("edges", "random")


def measure_controls(
    model: Any, x: Tensor, target: Tensor, a: Tensor, seed: int, unit: Link = "probability"
) -> tuple[dict[str, Any], Passes]:
    """The deletion score of a map, of the picture's edges and of a random map, and the passes that this took.

    Deletion: mean probability of the class while the most important pixels become black, step by step; lower is
    better. Of one picture and one random map, a small lead is luck. Black is no natural absence: a low score says that
    pixels matter to the model, not that a person would see why.
    """
    scores: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    with count_passes() as passes, remember_answers():
        for name in ("method", *CONTROLS):
            other = a if name == "method" else _make_control(model, x, target, name, seed)
            scores[name], reasons[name] = _measure_map(model, x, target, other, seed, unit)
    card = METRICS.cards[MEASURE]
    facts = {"measure": MEASURE, "unit": unit, "better": card.better, "steps": STEPS, "impute": "zero"}
    unmeasured = {name: reason for name, reason in reasons.items() if reason}
    return {**facts, **scores, "beaten": _list_beaten(scores), "not_measured": unmeasured}, passes


def _make_control(model: Any, x: Tensor, target: Tensor, name: str, seed: int) -> Tensor:
    knobs = {"seed": seed} if name == "random" else {}
    return xnb.attribute(model, x, target, name, **knobs)


def _measure_map(model: Any, x: Tensor, target: Tensor, a: Tensor, seed: int, unit: Link) -> tuple[float | None, str]:
    """The score, or why there is none, as where nothing that is removed moves the model's output."""
    try:
        score = float(METRICS[MEASURE](model, x, target, a, steps=STEPS, seed=seed, unit=unit))
    except ValueError as error:
        return None, str(error).split("\n")[0]
    if score == score:
        return score, ""
    return None, "the output does not move"


def _list_beaten(scores: Mapping[str, float | None]) -> dict[str, bool | None]:
    """Which controls the map beats: whether its score is lower; None where one of both is not known."""
    own = scores["method"]
    beaten: dict[str, bool | None] = {}
    for name in CONTROLS:
        other = scores[name]
        beaten[name] = None if own is None or other is None else own < other
    return beaten
