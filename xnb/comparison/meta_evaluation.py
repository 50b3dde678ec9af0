"""Which metric can be relied on? All metrics score all methods before and after noise on the input or the model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple, TypeAlias, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xnb.access.descriptions import takes_knob
from xnb.access.draws import make_generator, mix_seed
from xnb.access.memo import remember_answers
from xnb.access.score import logits
from xnb.access.targets import predict_class, read_target
from xnb.check import find_entry, require
from xnb.comparison.meta_consistency import MetaConsistency, PerturbedScores, estimate_meta_consistency
from xnb.comparison.plan import Selection, label_functions
from xnb.comparison.statistics import Directions, metric_signs
from xnb.data import Part
from xnb.methods import METHODS
from xnb.metrics import METRICS
from xnb.metrics.randomised_models import noisy_copy
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Model, Target, TargetLike

# By what is perturbed, the size of mild and of strong noise: the paper's, for its small networks.
_NOISE = {"input": (0.001, 5.0), "model": (0.001, 2.0)}
_Bounds: TypeAlias = tuple[float, float] | None


def evaluate_metrics(
    model: Model,
    data: Part,
    methods: Selection,
    metrics: Selection,
    *,
    noise: Mapping[str, tuple[float, float]] = _NOISE,
    draws: int = 5,
    iterations: int = 3,
    explain_again: bool = False,
    bounds: tuple[float, float] | None = None,
    target: TargetLike | None = None,
    better: Directions | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the meta-consistency of each metric (MetaQuantus): a row for each metric, perturbation and iteration.

    Columns: `metric`, `perturbed` ("input" or "model"), `iteration`, and the fields of
    `xnb.comparison.meta_consistency.MetaConsistency`; `estimate_meta_consistency` says what they mean, and what a
    metric has for nothing. Iterations differ in the noise alone, not in methods or inputs: their spread is no interval.

    Noise on the input is uniform in [-size, size] for each value; noise on the model multiplies each parameter by a
    draw from N(1, size^2). Mild noise counts where the prediction stays, strong noise where it changes. All methods
    and metrics run once for each draw: 2 strengths x `draws` x `iterations` of each perturbation.

    Args:
        methods: names in `xnb.catalog()` or functions `(model, x, target) -> attribution`; `{label: ...}` for both.
            Knobs are set by `functools.partial`. One method alone always keeps its rank.
        metrics: names in `xnb.metrics.catalog()` or functions `(model, x, target, attribution) -> scores`, likewise;
            `masks` and `method` are handed to those that take them.
        noise: by what is perturbed, the size of mild and of strong noise.
        draws: of each noise, over which p-values and ranks are averaged (K in the paper).
        iterations: how often all of that is done with other noise.
        explain_again: explain noisy inputs anew. If not, as in the code beside the paper, the map of the clean input
            is judged on the noisy one: a metric that reads the map alone then sees nothing of noise on the input.
        bounds: least and largest value of a noisy input; None: none.
        target: a class for each input, or one for all; the class predicted for the clean input if omitted.
        better: direction of metrics that `xnb.metrics.catalog()` does not know, `{"my_metric": "lower"}`.
        seed: of the noise.

    Raises:
        ValueError: unknown names, a metric without a better end, no draw, or parameters that are to be noisy of what
            is no module.

    Source: Hedstroem et al. 2023, arXiv:2302.07265
    """
    require(draws >= 1, "evaluate_metrics: draws must be at least 1", draws, "draws=5")
    require(iterations >= 1, "evaluate_metrics: iterations must be at least 1", iterations, "iterations=3")
    trial = _make_trial(model, data, methods, metrics, target)
    directions = _find_directions(list(trial.metrics), better)
    clean = _Setting(model, data.x)
    maps = trial.explain(clean)
    before = trial.measure(clean, maps)
    rows: list[dict[str, object]] = []
    rounds = list(product(noise, range(iterations)))
    for space, iteration in show_progress(rounds, len(rounds), "iteration"):
        # Other parameters have other maps; of a noisy input the map may be the old one.
        old_maps = None if explain_again or space == "model" else maps
        strengths = []
        for size in noise[space]:
            seeds = [mix_seed(f"{space}, {size}, {iteration}, {draw}", seed) for draw in range(draws)]
            settings = _draw_settings(clean, space, size, seeds, bounds)
            strengths.append(trial.measure_all(settings, old_maps))
        mild, strong = strengths
        for name, found in _estimate_all(before, mild, strong, directions):
            rows.append({"metric": name, "perturbed": space, "iteration": iteration, **found._asdict()})
    return pd.DataFrame(rows)


def _find_directions(metrics: list[str], better: Directions | None) -> dict[str, Literal["higher", "lower"]]:
    """Return by metric which end is better."""
    signs = metric_signs(metrics, better)
    without = [name for name in metrics if name not in signs]
    rule = "evaluate_metrics: of some metrics neither end is better, so that no score can get worse"
    require(not without, rule, without, f"better={dict.fromkeys(without, 'higher')}  # or 'lower'")
    return {name: "higher" if signs[name] > 0 else "lower" for name in metrics}


class _Setting(NamedTuple):
    """A model and the inputs that it is asked about; one of the two may be noisy."""

    model: Model
    x: Batch


def _draw_settings(
    clean: _Setting, space: str, size: float, seeds: Iterable[int], bounds: _Bounds
) -> Iterator[_Setting]:
    """Yield the setting with other noise for each seed."""
    perturb = find_entry(_PERTURB, space, "evaluate_metrics: no perturbation of that name")
    for seed in seeds:
        yield perturb(clean, size, seed, bounds)


def _perturb_input(
    clean: _Setting,
    size: float,
    seed: int,
    bounds: _Bounds,
) -> _Setting:
    x = clean.x
    generator = make_generator("noisy input", seed, x.device)
    uniform = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    noisy = x + size * (2 * uniform - 1)
    if bounds is not None:
        noisy = noisy.clamp(*bounds)
    return clean._replace(x=noisy)


def _perturb_model(
    clean: _Setting,
    size: float,
    seed: int,
    bounds: _Bounds,
) -> _Setting:
    # What is no module is refused there.
    return clean._replace(model=noisy_copy(cast(nn.Module, clean.model), deviation=size, seed=seed))


_PERTURB = {"input": _perturb_input, "model": _perturb_model}


class _Strength(NamedTuple):
    """Scores by all metrics after all draws of noise of one size, and where the prediction stayed."""

    values: Float[np.ndarray, "draws metrics methods inputs"]
    stays: Bool[np.ndarray, "draws inputs"]


def _estimate_all(
    before: Float[np.ndarray, "metrics methods inputs"],
    mild: _Strength,
    strong: _Strength,
    directions: Mapping[str, Literal["higher", "lower"]],
) -> Iterator[tuple[str, MetaConsistency]]:
    for number, (name, better) in enumerate(directions.items()):
        after_mild = PerturbedScores(mild.values[:, number], mild.stays)
        after_strong = PerturbedScores(strong.values[:, number], ~strong.stays)
        yield name, estimate_meta_consistency(before[number], after_mild, after_strong, better=better)


@dataclass(frozen=True)
class _Trial:
    """What is asked of every metric, before and after.

    Attributes:
        part: the clean inputs, and their masks.
        target: the class of each that is explained.
        predicted: by the clean model.
    """

    part: Part
    target: Target
    predicted: Target
    methods: Mapping[str, Callable]
    metrics: Mapping[str, Callable]

    def explain(self, setting: _Setting) -> list[Attribution]:
        """Return the map of every method."""
        with remember_answers():
            return [method(*setting, self.target).detach() for method in self.methods.values()]

    def measure(
        self,
        setting: _Setting,
        maps: list[Attribution],
    ) -> Float[np.ndarray, "metrics methods inputs"]:
        """Return one number for each metric, method and input."""
        scores = []
        with remember_answers():  # what a metric asks of the model is the same whatever the map
            for metric in self.metrics.values():
                of_methods = [
                    self._measure_map(metric, setting, attribution, method)
                    for attribution, method in zip(maps, self.methods.values(), strict=True)
                ]
                scores.append(torch.stack(of_methods))
        return torch.stack(scores).numpy()

    def _measure_map(
        self,
        metric: Callable,
        setting: _Setting,
        attribution: Attribution,
        method: Callable,
    ) -> Tensor:
        offers = {"masks": self.part.masks, "method": method}
        arguments = {name: value for name, value in offers.items() if takes_knob(metric, name)}
        scores = metric(*setting, self.target, attribution, **arguments)
        return scores.detach().double().cpu()

    def measure_all(
        self,
        settings: Iterable[_Setting],
        maps: list[Attribution] | None,
    ) -> _Strength:
        """Return the scores in every setting.

        Args:
            maps: to be judged in all of them; None: each setting has maps of its own.
        """
        values = []
        stays = []
        for setting in settings:
            own_maps = self.explain(setting) if maps is None else maps
            values.append(self.measure(setting, own_maps))
            predicted = predict_class(logits(*setting))
            stays.append((predicted == self.predicted).cpu().numpy())
        return _Strength(np.stack(values), np.stack(stays))


def _make_trial(
    model: Model,
    data: Part,
    methods: Selection,
    metrics: Selection,
    target: TargetLike | None,
) -> _Trial:
    predicted = predict_class(logits(model, data.x))
    return _Trial(
        part=data,
        target=predicted if target is None else read_target(target, data.x),
        predicted=predicted,
        methods=_look_up(methods, METHODS.find),
        metrics=_look_up(metrics, METRICS.find),
    )


def _look_up(selection: Selection, find: Callable[[str], Callable]) -> dict[str, Callable]:
    """Return functions by label; those that are names are looked up."""
    labelled = label_functions(selection)
    return {label: entry if callable(entry) else find(entry) for label, entry in labelled.items()}
