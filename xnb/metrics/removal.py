"""Remove what an explanation calls important, step by step, and watch the score. Unit: score, or probability."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.ledger import remembered
from xnb.access.score import changed_scores
from xnb.check import require
from xnb.metrics.imputers import Imputer, filling
from xnb.metrics.map_values import ranks, spread, values
from xnb.metrics.output_units import Unit, reading
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

First = Literal["most", "least"]
PETSIUK = "Petsiuk, Das & Saenko 2018, arXiv:1806.07421"


def curve(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    first: First = "most",
    unit: Unit = "score",
    steps: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Float[Tensor, "T B"]:
    """Score after removing 0, 1/steps, ... all of the pixels, those called most or least important first.

    Inputs of fewer units than `steps` are taken apart unit by unit. Both ends are the same for every attribution.

    Raises:
        ValueError: `steps < 1`, an unknown order, unit or imputer, or an attribution that is not that of `x`.
    """
    require(first in ("most", "least"), "curve: first must be 'most' or 'least'", first, "first='most'")
    require(steps >= 1, "curve: steps must be at least 1", steps, "steps=16")
    worth, read, fill = values(attribution, x), reading(unit, model, x, target), filling(impute, x)
    place = ranks(worth if first == "most" else -worth, seed)
    counts = torch.linspace(0, worth.shape[1], min(steps, worth.shape[1]) + 1).round().to(x.device)

    def removing(counts: Tensor) -> Float[Tensor, "t B"]:
        def change(some: slice, part: slice) -> Tensor:
            return fill(part, spread((place[part] < counts[some, None, None]).to(x), x))

        return changed_scores(read, x, target, change, len(counts), chunk=chunk)

    ends = remembered(("ends", model, x, target, unit, impute), lambda: removing(counts[[0, -1]]))
    asked = ("curve", model, x, target, attribution, first, unit, steps, impute, seed)
    return torch.cat([ends[:1], remembered(asked, lambda: removing(counts[1:-1])), ends[1:]])


def area(scores: Float[Tensor, "T B"]) -> Scores:
    """Mean height of a curve, by trapezoids."""
    return (torch.trapezoid(scores.double(), dim=0) / (len(scores) - 1)).to(scores)


@metric(category="faithfulness", better="lower", paper=PETSIUK)
def deletion(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "zero",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean probability while the most important pixels are removed. Unit: probability, lower is better.

    Black pixels are no natural absence: a map that breaks the picture quickly scores well too. With `insertion` it
    is not two views of one curve, as the two put different things in place.

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed: zero, mean, blur, noisy_linear, or a function.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `curve`.
    """
    knobs = {"steps": steps, "impute": impute, "seed": seed, "chunk": chunk}
    return area(curve(model, x, target, attribution, unit="probability", **knobs))


@metric(category="faithfulness", better="higher", paper=PETSIUK)
def insertion(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "blur",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean probability while the most important pixels are put into a blurred picture. Unit: probability.

    It is removal of the least important first, read from the other end, on blur.

    Args:
        steps: how many times something is put in.
        impute: what stands where pixels are missing.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `curve`.
    """
    knobs = {"steps": steps, "impute": impute, "seed": seed, "chunk": chunk}
    return area(curve(model, x, target, attribution, first="least", unit="probability", **knobs))


@metric(category="faithfulness", better="higher", paper="Samek et al. 2017, arXiv:1509.06321")
def morf(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Mean drop in score while the most relevant pixels are removed first (AOPC). Unit: score.

    .. math:: \frac{1}{T}\int_0^T f(x) - f(x_{\setminus \pi_1 \ldots \pi_t})\, dt

    Which of two maps is better may turn with the imputer; `srg` turns less (arXiv:2401.06654).

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `curve`.
    """
    scores = curve(model, x, target, attribution, steps=steps, impute=impute, seed=seed, chunk=chunk)
    return scores[0] - area(scores)


@metric(category="faithfulness", better="lower", paper="Samek et al. 2017, arXiv:1509.06321")
def lerf(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean drop in score while the least relevant pixels are removed first. Unit: score, lower is better.

    Negative where removing what speaks against the class raises the score.

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `curve`.
    """
    knobs = {"steps": steps, "impute": impute, "seed": seed, "chunk": chunk}
    scores = curve(model, x, target, attribution, first="least", **knobs)
    return scores[0] - area(scores)


@metric(category="faithfulness", better="higher", paper="Bluecher, Vielhaben & Strodthoff 2024, arXiv:2401.06654")
def srg(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Symmetric gap: area between removing the least and the most relevant first. Unit: score.

    A random order has 0 in expectation whatever the imputer, and the rankings of methods turn least with it, so
    this is the summary to begin with.

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `curve`.
    """
    knobs = {"steps": steps, "impute": impute, "seed": seed, "chunk": chunk}
    first, last = (curve(model, x, target, attribution, first=end, **knobs) for end in ("most", "least"))
    return area(last) - area(first)


@metric(category="faithfulness", better="lower", paper="Rong et al. 2022, arXiv:2202.00449")
def road(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 10,
    impute: str | Imputer = "noisy_linear",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Share of the steps at which the class is still predicted, the most important pixels removed first.

    Removed pixels are interpolated, so that the mask's shape cannot be read. The mean over inputs is the area under
    the accuracy curve of the paper, for accuracy against `target`.

    Args:
        steps: how many times something is removed; nothing and everything are not counted.
        impute: what stands where pixels are removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `curve`.
    """
    knobs = {"steps": steps, "impute": impute, "seed": seed, "chunk": chunk}
    ahead = curve(model, x, target, attribution, unit="margin", **knobs)
    return (ahead[1:-1] > 0).to(x).mean(0)
