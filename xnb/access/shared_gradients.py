"""One pass for many methods: gradients of the score at the input and at layers, left for those who ask later."""

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from xnb.access.at_layer import AtLayer, join_passes, leave_at_layer
from xnb.access.chunking import gradient_chunks
from xnb.access.hooks import capture_outputs
from xnb.access.layout.axis_watch import AxisWatch
from xnb.access.rows import select_rows
from xnb.access.score import chunk_gradient, leave_gradient
from xnb.types import Batch, Logits, Model, Target


def share_gradients(model: Model, x: Batch, target: Target, layers: Collection[str]) -> Logits:
    """Run `model` once forward and once backward, and return the logits.

    Within `memo.remember_answers`, `score.score`, `score.input_gradient` and, for `layers`,
    `at_layer.activation_and_gradient` then answer without a pass of their own. The caller has checked the input by
    `model_call.check_explainable`.

    Args:
        layers: names of modules; none where the model is a plain function.

    Raises:
        ValueError: as `score.input_gradient`, a layer is unknown, or it is called again in a forward pass.
    """
    logits: list[Tensor] = []
    gradients: list[Tensor] = []
    passes: dict[str, list[AtLayer]] = {layer: [] for layer in layers}
    watch = AxisWatch()
    for rows in gradient_chunks(model, x, None):
        inputs = watch.start(x[rows])
        with _capture_at_layers(model, layers) as captured, select_rows(rows, len(x)), watch:
            result = chunk_gradient(model, inputs, target[rows], captured)
        logits.append(result.logits)
        gradients.append(result.gradient)
        # `captured` is in the order of execution, as are the gradients
        for (layer, output), gradient in zip(captured.items(), result.at_captured, strict=True):
            passes[layer].append(AtLayer(output.detach(), watch.read_axes(output), gradient))
    all_logits = torch.cat(logits)
    leave_gradient(model, x, target, torch.cat(gradients), all_logits)
    for layer, found in passes.items():
        # What cannot be explained is not left: whoever asks for it is refused as without it.
        if sum(_count_rows(each) for each in found) == len(x):
            leave_at_layer(model, x, target, layer, join_passes(found))
    return all_logits


def _count_rows(found: AtLayer) -> int:
    """Inputs of which a pass shows activation and gradient."""
    if found.gradient is None or found.activation.ndim < 2:
        return 0
    return len(found.activation)


def _capture_at_layers(model: Model, layers: Collection[str]) -> AbstractContextManager[dict[str, Tensor]]:
    if isinstance(model, nn.Module):
        return capture_outputs(model, *layers, once=True)
    return nullcontext({})
