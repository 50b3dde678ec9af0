"""References of a case: by the slow twins of the zoo, one input at a time, with the knobs of the case."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

# The zoo has the references; its folder is on the path only where its own tests are collected.
sys.path.append(str(Path(__file__).parents[1] / "zoo"))
import metric_references
import references

# Their own knobs; the reference knows no others but these values.
PLAIN = {"chunk", "seed"}
RECTIFIERS = {"relu", "relu in place", "F.relu", "x.relu_()"}
# Words with a step back that the published rule does not speak of, or which goes through torch.relu inside.
UNSPOKEN = {"relu6", "clamp", "maximum", "where", "abs", "leaky relu", "elu", "hardswish", "lstm", "gru"}
UNSPOKEN |= {"encoder layer"}


def find(case):
    """The reference of a subject with these knobs, None where there is none."""
    if case.dtype not in {"float64", "float32"}:
        return None
    return REFERENCES.get(case.subject)


def _list_scorers(scope):
    model = scope["model"].double()
    x = scope["x"].detach().double()
    target = torch.as_tensor(scope["target"]).long()
    target = target.expand(len(x)) if target.ndim == 0 else target
    return [(references.make_scorer(model, x, target, i), x[i]) for i in range(len(x))]


def _read_knobs(case, scope, *allowed):
    """The knobs as values; None where one is set that the reference does not know."""
    knobs = {name: eval(value, dict(scope)) for name, value in case.knobs}
    rest = knobs.keys() - PLAIN - {*allowed}
    return None if any(knobs[name] is not None for name in rest) else knobs


def _of_zoo(name):
    def explain(case, scope):
        if _read_knobs(case, scope) is None:
            return None
        return torch.stack([references.METHODS[name](score, z, None).detach() for score, z in _list_scorers(scope)])

    return explain


def _list_words(words):
    for word in words:
        if isinstance(word, str):
            yield word
        else:
            yield from _list_words(word[1])


def _guided(name):
    plain = _of_zoo(name)

    def explain(case, scope):
        return None if UNSPOKEN & set(_list_words(case.words)) else plain(case, scope)

    return explain


def _read_baseline(knobs, x):
    """The baseline of each input, None where it is one that has a reading of its own."""
    baseline = knobs.get("baseline", 0.0)
    if isinstance(baseline, str) and baseline != "zero":
        return None
    if callable(baseline):
        baseline = baseline(x)
    if baseline == "zero" if isinstance(baseline, str) else False:
        baseline = 0.0
    return torch.as_tensor(baseline).to(x).expand_as(x)


def integrated_gradients(case, scope):
    knobs = _read_knobs(case, scope, "baseline", "steps", "quadrature")
    start = None if knobs is None else _read_baseline(knobs, scope["x"].double())
    if start is None or not isinstance(knobs["steps"], int):
        return None
    steps = knobs["steps"]
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    nodes, weights = (nodes + 1) / 2, weights / 2
    if knobs.get("quadrature") == "midpoint":
        nodes, weights = (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    maps = []
    for (score, z), b in zip(_list_scorers(scope), start, strict=True):
        slopes = sum(w * references.slope(score, b + t * (z - b)) for t, w in zip(nodes, weights, strict=True))
        maps.append((z - b) * slopes)
    return torch.stack(maps)


def _of_regions(name):
    """Four players; of fewer, the others own nothing and get nothing."""

    def explain(case, scope):
        knobs = _read_knobs(case, scope, "regions", "baseline")
        regions = None if knobs is None else knobs.get("regions")
        start = None if regions is None else _read_baseline(knobs, scope["x"].double())
        if start is None or bool((start != 0).any()):
            return None
        numbers = torch.as_tensor(regions)
        if int(numbers.min()) < 0 or int(numbers.max()) > 3:  # it numbers its players from 0, and has four
            return None
        maps = []
        for i, (score, z) in enumerate(_list_scorers(scope)):
            own = numbers[i] if numbers.ndim > z.ndim else numbers
            animal = SimpleNamespace(regions=lambda own=own: own)
            maps.append(references.METHODS[name](score, z, animal))
        return torch.stack(maps)

    return explain


@torch.no_grad()
def occlusion(case, scope):
    knobs = _read_knobs(case, scope, "baseline", "window", "stride", "units")
    x = scope["x"].double()
    paint = None if knobs is None else _read_baseline(knobs, x)
    window = None if knobs is None else knobs.get("window")
    if paint is None or not isinstance(window, int) or x.ndim < 3:
        return None
    named = knobs.get("units")
    axes = (named,) if isinstance(named, int) else scope["units"]
    if knobs.get("units") is None and case.kind != "picture":
        return None  # which axes it then sees is a question of its own
    stride = knobs.get("stride") or window
    starts = [[*range(0, x.shape[axis] - window, stride), x.shape[axis] - window] for axis in axes]
    maps = []
    for (score, z), b in zip(_list_scorers(scope), paint, strict=True):
        total, count, whole = torch.zeros_like(z), torch.zeros_like(z), score(z)
        for corner in np.ndindex(*map(len, starts)):
            place = [slice(None)] * z.ndim
            for axis, row, i in zip(axes, starts, corner, strict=True):
                place[axis - 1] = slice(row[i], row[i] + window)
            painted = z.clone()
            painted[tuple(place)] = b[tuple(place)]
            total[tuple(place)] += whole - score(painted)
            count[tuple(place)] += 1
        maps.append(total / count)
    return torch.stack(maps)


def _of_metric(name):
    def measure(case, scope):
        knobs = _read_knobs(case, scope, "units", "impute")
        exact = case.map == "random" and case.values == "normal" and case.classes > 1
        default = metric_references.STEPS
        if knobs is None or not exact or knobs.pop("steps", default) != default or knobs.get("impute"):
            return None
        if knobs.get("units") != scope["units"]:
            return None
        x = scope["x"].double()
        model = scope["model"].double()
        animal = SimpleNamespace(units=scope["units"], masks=lambda rows: scope["masks"][:rows])
        games = [metric_references.Game(model, x, scope["target"], i) for i in range(len(x))]
        function = metric_references.METRICS[name]
        scores = [function(game, z, a, animal) for game, z, a in zip(games, x, scope["a"].double(), strict=True)]
        return x.new_tensor(scores)

    return measure


REFERENCES = {
    "gradient": _of_zoo("gradient"),
    "gradient_times_input": _of_zoo("gradient_times_input"),
    "guided_backprop": _guided("guided_backprop"),
    "deconvnet": _guided("deconvnet"),
    "integrated_gradients": integrated_gradients,
    "feature_ablation": _of_regions("feature_ablation"),
    "exact_shapley": _of_regions("exact_shapley"),
    "occlusion": occlusion,
}
SCORED = {"sparseness", "entropy", "completeness_gap", "pointing_game", "energy_pointing", "relevance_mass", "auc"}
SCORED |= {"relevance_rank"}
REFERENCES |= {name: _of_metric(name) for name in SCORED}
