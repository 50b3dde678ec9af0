"""Methods that ask for the slope many times around the input, or from many baselines, and average."""

import torch
from torch import Tensor

from xnb.access.ledger import note, remembered
from xnb.access.score import changed_slopes, per_input
from xnb.check import require
from xnb.methods.monte_carlo import Blocks, Moments, moments
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Points, Target


@method(
    family="gradient",
    needs="gradient",
    cost="samples (F + B)",
    axioms=("dummy",),
    paper="Smilkov et al. 2017, arXiv:1706.03825",
)
def smoothgrad(
    model: Model,
    x: Batch,
    target: Target,
    *,
    sigma: float = 0.1,
    samples: int = 32,
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Slope averaged over noise around the input, :math:`a = \mathrm{E}\,\nabla f(x + \varepsilon)`.

    Unit: score per input unit. It is the exact slope of a blurred score; it looks better than the plain slope
    because noise blurs, which is no proof that it explains better.

    Args:
        sigma: deviation of the noise, as a share of each input's own range.
        samples: noises averaged over; the same ones serve every input.
        standard_error: draw further rounds of `samples` until the error of the mean, relative to the map, is this.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.
    """
    found = _noisy(model, x, target, sigma, samples, standard_error, seed, chunk)
    note(standard_error=found.error())
    return found.mean.to(x.dtype)


@method(
    family="gradient",
    needs="gradient",
    cost="samples (F + B)",
    axioms=("dummy",),
    paper="Adebayo et al. 2018, arXiv:1810.03307",
)
def vargrad(
    model: Model,
    x: Batch,
    target: Target,
    *,
    sigma: float = 0.1,
    samples: int = 32,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Variance of the slope under noise around the input, :math:`a = \mathrm{Var}\,\nabla f(x + \varepsilon)`.

    Unit: (score per input unit) squared; never negative. It shows where the slope is unsteady, and that says
    nothing of the direction: a linear model gets zero everywhere.

    Args:
        sigma: deviation of the noise, as a share of each input's own range.
        samples: noises; the same ones serve every input.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.
    """
    return _noisy(model, x, target, sigma, samples, None, seed, chunk).variance.to(x.dtype)


def _noisy(
    model: Model,
    x: Batch,
    target: Target,
    sigma: float,
    samples: int,
    standard_error: float | None,
    seed: int,
    chunk: int | None,
) -> Moments:
    """Moments of the slope under noise; who asks for the same noise again gets the same answer."""
    flat = x.flatten(1)
    spread = sigma * per_input(flat.amax(1) - flat.amin(1), x)

    def draw(rows: Tensor, samples: int, rng: torch.Generator) -> Blocks:
        noise = torch.randn(samples, 1, *x.shape[1:], generator=rng, dtype=x.dtype, device=x.device)

        def change(some: slice, part: slice) -> Tensor:
            return x[rows[part]] + spread[rows[part]] * noise[some]

        return changed_slopes(model, x[rows], target[rows], change, samples, chunk=chunk)

    question = ("noise", model, x, target, sigma, samples, standard_error or 0.0, seed)
    return remembered(question, lambda: moments(draw, x, samples, standard_error, seed))


@method(
    family="gradient",
    needs="gradient",
    cost="samples (F + B)",
    axioms=("dummy", "linear"),
    paper="Erion et al. 2021, arXiv:1906.10670",
)
def expected_gradients(
    model: Model,
    x: Batch,
    target: Target,
    *,
    baseline: Tensor | float = 0.0,
    samples: int = 64,
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Integrated gradients averaged over many baselines, by sampling baseline and place together. Unit: score.

    .. math:: a = \mathrm{E}_{b,\,t}\,(x - b) \odot \nabla f\bigl(b + t(x - b)\bigr)

    It adds up to :math:`f(x) - \mathrm{E} f(b)` up to its sampling error. What it explains is the difference from
    the baselines given: change them, and the answer changes with the question.

    Args:
        baseline: inputs to start from, `(N, *shape)`, drawn with equal chance; one number makes one baseline.
        samples: draws of baseline and place; the same ones serve every input.
        standard_error: draw further rounds of `samples` until the error of the mean, relative to the map, is this.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `baseline` is neither a number nor a stack of inputs.
    """
    starts = references(baseline, x)

    def draw(rows: Tensor, samples: int, rng: torch.Generator) -> Blocks:
        start = starts[torch.randint(len(starts), (samples, 1), generator=rng, device=x.device)]
        times = torch.rand(samples, *[1] * x.ndim, generator=rng, dtype=x.dtype, device=x.device)

        def change(some: slice, part: slice) -> Tensor:
            return start[some] + times[some] * (x[rows[part]] - start[some])

        for some, part, slopes in changed_slopes(model, x[rows], target[rows], change, samples, chunk=chunk):
            yield some, part, (x[rows[part]] - start[some]) * slopes

    found = moments(draw, x, samples, standard_error, seed)
    note(standard_error=found.error())
    return found.mean.to(x.dtype)


def references(baseline: Tensor | float, x: Batch) -> Points:
    """Baselines to draw from, `(N, *shape)`."""
    if not isinstance(baseline, Tensor):
        return torch.full_like(x[:1], baseline)
    fits = baseline.shape[1:] == x.shape[1:] and len(baseline) > 0 and baseline.dtype == x.dtype
    shape = ", ".join(map(str, x.shape[1:]))
    require(fits, f"baseline: must be a number or inputs (N, {shape}) of x's dtype", baseline, "baseline=0.0")
    return baseline
