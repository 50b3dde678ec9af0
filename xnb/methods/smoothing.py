"""Averages of the gradient over random points: around the input, or on paths from many baselines."""

import torch
from torch import Tensor

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.ledger import leave_note
from xnb.access.memo import answer_once
from xnb.access.score import align_to_inputs, changed_gradients
from xnb.check import require
from xnb.methods.monte_carlo import Blocks, Moments, estimate_moments
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Points, Target


@method(
    family="gradient",
    needs="gradient",
    cost="samples (F + B)",
    axioms=("dummy",),
    paper="Smilkov et al. 2017, arXiv:1706.03825",
    sign="direction",
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
    r"""Gradient averaged over copies of the input with noise.

    .. math:: a = \mathrm{E}_\varepsilon\, \nabla f(x + \varepsilon), \qquad
        \varepsilon \sim \mathcal{N}\bigl(0, \sigma^2 (\max x - \min x)^2\bigr)

    Unit: score per input unit. It is the exact gradient of a blurred score. It looks better than the plain gradient
    because noise blurs, which is no proof that it explains better.

    Args:
        sigma: deviation of the noise, as a share of each input's own range.
        samples: noises averaged over; the same ones serve every input.
        standard_error: draw further rounds of `samples` until the error of the mean, relative to the map, is this.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.
    """
    moments = _noisy_gradient_moments(model, x, target, sigma, samples, standard_error, seed, chunk)
    leave_note(standard_error=moments.relative_error())
    return moments.mean.to(x.dtype)


@method(
    family="gradient",
    needs="gradient",
    cost="samples (F + B)",
    axioms=("dummy",),
    paper="Adebayo et al. 2018, arXiv:1810.03307",
    sign="none",
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
    r"""Variance of the gradient over copies of the input with noise.

    .. math:: a = \mathrm{Var}_\varepsilon\, \nabla f(x + \varepsilon), \qquad
        \varepsilon \sim \mathcal{N}\bigl(0, \sigma^2 (\max x - \min x)^2\bigr)

    Unit: (score per input unit) squared; never negative. It shows where the gradient is unsteady, and nothing of
    its direction: a linear model gets zero everywhere.

    Args:
        sigma: deviation of the noise, as a share of each input's own range.
        samples: noises; the same ones serve every input.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.
    """
    moments = _noisy_gradient_moments(model, x, target, sigma, samples, None, seed, chunk)
    return moments.variance.to(x.dtype)


def _noisy_gradient_moments(
    model: Model,
    x: Batch,
    target: Target,
    sigma: float,
    samples: int,
    standard_error: float | None,
    seed: int,
    chunk: int | None,
) -> Moments:
    """Moments of the gradient under noise; within `explain`, smoothgrad and vargrad share those of equal noise."""
    flat = x.flatten(1)
    # As the paper does: noise in proportion to the range of values of each input.
    value_range = flat.amax(1) - flat.amin(1)
    deviation = sigma * align_to_inputs(value_range, x)

    def draw(indices: Tensor, samples: int, rng: torch.Generator) -> Blocks:
        noise = _Noise(x, rng)

        def add_noise(draws: slice, rows: slice) -> Tensor:
            members = indices[rows]
            return x[members] + deviation[members] * noise.take(draws)

        return changed_gradients(model, x[indices], target[indices], add_noise, samples, chunk=chunk)

    question = ("noise", model, x, target, sigma, samples, standard_error or 0.0, seed)
    return answer_once(question, lambda: estimate_moments(draw, x, samples, standard_error, seed))


class _Noise:
    """Standard normal noise for all inputs, drawn when a pass needs it and given up when passes go on.

    Each draw is made by itself: in larger pieces the numbers would depend on how many go together.
    """

    def __init__(self, x: Batch, rng: torch.Generator) -> None:
        self.x = x
        self.rng = rng
        self.drawn = slice(0, 0)
        self.values = x.new_empty(0, 1, *x.shape[1:])

    def take(self, draws: slice) -> Tensor:
        """The noise of these draws, (n, 1, *shape): those of the pass before, or the next ones."""
        if draws != self.drawn:
            singles = [self._draw() for _ in range(draws.start, draws.stop)]
            self.values = torch.stack(singles)
            self.drawn = draws
        return self.values

    def _draw(self) -> Tensor:
        return torch.randn(
            1,
            *self.x.shape[1:],
            generator=self.rng,
            dtype=self.x.dtype,
            device=self.x.device,
        )


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
    baseline: Baseline = 0.0,
    samples: int = 64,
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Integrated gradients averaged over many baselines: each draw takes a baseline and a point of the path to `x`.

    .. math:: a = \mathrm{E}_{b,\,t}\,(x - b) \odot \nabla f\bigl(b + t(x - b)\bigr)

    Here :math:`b` is drawn from the baselines and :math:`t` evenly from 0 to 1. Unit: score. It adds up to
    :math:`f(x) - \mathrm{E} f(b)` up to its sampling error. What it explains is the difference from these baselines:
    other baselines are another question and get another answer.

    Args:
        baseline: inputs to start from, `(N, *shape)`, drawn with equal chance. A number makes one baseline; a name or
            a function, as in `xnb.access.baselines.expand_baseline`, one for each input.
        samples: draws of baseline and position on the path; the same ones serve every input.
        standard_error: draw further rounds of `samples` until the error of the mean, relative to the map, is this.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `baseline` is none of these.
    """
    own = isinstance(baseline, str) or callable(baseline)  # made from each input
    baselines = expand_baseline(baseline, x, model) if own else _expand_baselines(baseline, x)

    def draw(indices: Tensor, samples: int, rng: torch.Generator) -> Blocks:
        count = 1 if own else len(baselines)
        numbers = torch.randint(count, (samples, 1), generator=rng, device=x.device)
        times = torch.rand(samples, *[1] * x.ndim, generator=rng, dtype=x.dtype, device=x.device)

        def find_start(draws: slice, rows: slice) -> Tensor:
            # drawn for all inputs together: a result must not depend on the batch that it comes in
            if own:
                return baselines[indices[rows]]
            return baselines[numbers[draws]]

        def move_along_path(draws: slice, rows: slice) -> Tensor:
            start = find_start(draws, rows)
            return start + times[draws] * (x[indices[rows]] - start)

        blocks = changed_gradients(model, x[indices], target[indices], move_along_path, samples, chunk=chunk)
        for draws, rows, gradients in blocks:
            yield draws, rows, (x[indices[rows]] - find_start(draws, rows)) * gradients

    moments = estimate_moments(draw, x, samples, standard_error, seed)
    leave_note(standard_error=moments.relative_error())
    return moments.mean.to(x.dtype)


def _expand_baselines(baseline: Tensor | float, x: Batch) -> Points:
    """Baselines to draw from, `(N, *shape)`."""
    if not isinstance(baseline, Tensor):
        return expand_baseline(baseline, x.new_empty(1, *x.shape[1:]))
    same_shape = baseline.shape[1:] == x.shape[1:] and len(baseline) > 0
    fits = same_shape and baseline.dtype == x.dtype
    shape = ", ".join(map(str, x.shape[1:]))
    require(fits, f"baseline: must be a number or inputs (N, {shape}) of x's dtype", baseline, "baseline=0.0")
    return baseline
