"""The work of a sweep by Captum and Quantus: nine maps of each picture, and both curves of removal of each map."""

from time import perf_counter

import captum.attr
import numpy as np
import quantus
import torch
from quantus.functions.perturb_func import batch_baseline_replacement_by_indices
from torch import Tensor, nn

from benchmarks.judges import AS_IT_IS, QUIET, slope
from xnb.progress import show_progress

STEPS = 12  # of a curve, from the whole picture to none: Quantus takes only divisors of the number of pixels
CONTROLS = 5  # maps of noise stand for our controls: they are measured alike, and cost next to nothing


def sweep_by_peers(model: nn.Module, x: Tensor, batch: int = 50) -> dict[str, float]:
    """Return the seconds of maps and of curves; the class that is predicted is explained."""
    explain_seconds = 0.0
    measure_seconds = 0.0
    for part in show_progress(x.split(batch), len(x) // batch, "block"):
        target = model(part).argmax(1).detach()
        start = perf_counter()
        maps = _make_maps(model, part, target)
        explain_seconds += perf_counter() - start
        start = perf_counter()
        for a in maps:
            for order in (1, -1):
                _flip_pixels(model, part, target, order * a)
        measure_seconds += perf_counter() - start
    return {"seconds": explain_seconds + measure_seconds, "maps": explain_seconds, "curves": measure_seconds}


def _make_maps(model: nn.Module, x: Tensor, target: Tensor) -> list[Tensor]:
    """Return the maps of our sweep: gradient and its magnitude, integrated gradients, DeepLIFT, and controls."""
    baseline = x.mean((2, 3), keepdim=True).expand_as(x)
    gradient = slope(model, x, target)
    integrated = captum.attr.IntegratedGradients(model).attribute(x, baseline, target=target, n_steps=16)
    lifted = captum.attr.DeepLift(model).attribute(x, baseline, target=target)
    generator = torch.Generator().manual_seed(0)
    noise = [torch.rand(x.shape, generator=generator) for _ in range(CONTROLS)]
    return [gradient, gradient.abs(), integrated.detach(), lifted.detach(), *noise]


def _flip_pixels(model: nn.Module, x: Tensor, target: Tensor, a: Tensor) -> list:
    """Run the curve of one order: pixels by their sum over channels, as ours take them, painted with the mean."""
    pixels = a.sum(1, keepdim=True)
    pixels = pixels - pixels.min()  # the same order; maps without a positive value are refused there
    metric = quantus.PixelFlipping(
        features_in_step=x[0].numel() // STEPS,  # values of all channels, as Quantus counts them
        perturb_baseline="mean",
        perturb_func=batch_baseline_replacement_by_indices,
        **AS_IT_IS,
        **QUIET,
    )
    given = {"x_batch": x.numpy(), "y_batch": target.numpy(), "a_batch": pixels.numpy().astype(np.float32)}
    return metric(model, **given, channel_first=True, softmax=False, batch_size=len(x), device="cpu")
