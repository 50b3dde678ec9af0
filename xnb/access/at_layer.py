"""What a layer returns, and the gradient of the score there: up to the layer the model runs without a graph."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xnb.access.chunking import chunks
from xnb.access.functions.call_places import uncompile_around
from xnb.access.hooks import cut_graph, find_module, first_output, forward_hooks
from xnb.access.layout.axis_watch import AxisWatch, KnownAxes, SeenAxes, watch_axes
from xnb.access.layout.layer_maps import suggest_layer
from xnb.access.ledger import add_passes
from xnb.access.memo import answer_once, leave_answer
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.access.targets import target_logit
from xnb.check import refuse
from xnb.types import Batch, Model, Target


@dataclass(frozen=True, eq=False)
class AtLayer:
    """What a layer returns for a batch, one row an input where its first axis is that of the inputs.

    Attributes:
        activation: what it returned, without a graph.
        axes: what its axes stand for, and those of the input.
        gradient: of the score, with respect to it; None where it was not asked for.
    """

    activation: Tensor
    axes: SeenAxes
    gradient: Tensor | None = None


def layer_activation(
    model: nn.Module, x: Batch, layer: str, *, axes: SeenAxes | None = None, chunk: int | None = None
) -> AtLayer:
    """What `layer` returns, without a graph.

    Args:
        axes: what those of the layer stand for; None finds it.

    Raises:
        ValueError: `layer` is unknown, not called exactly once, or returns no tensor with a row an input.
    """
    check_explainable(model, x)
    outputs: list[object] = []

    def keep(module: nn.Module, args: tuple, out: object) -> None:
        output = first_output(out)
        outputs.append(output.clone() if isinstance(output, Tensor) else output)  # what follows may write into it

    passes = []
    watch = watch_axes(axes)
    for rows in _at_least_one_chunk(x, chunk):
        outputs.clear()
        inputs = watch.start(x[rows].detach().clone())
        hooks = forward_hooks([(find_module(model, layer), keep)])
        with torch.no_grad(), hooks, select_rows(rows, len(x)), watch:
            chunk_logits(model, inputs)
        activation = _only_output(model, layer, outputs, inputs)
        passes.append(AtLayer(activation, watch.read_axes(activation)))
    return join_passes(passes)


def activation_and_gradient(
    model: nn.Module,
    x: Batch,
    target: Target,
    layer: str,
    *,
    axes: SeenAxes | None = None,
    chunk: int | None = None,
) -> AtLayer:
    r"""What `layer` returns and the gradient of the score there, :math:`A` and :math:`\partial f / \partial A`.

    Up to the layer the model runs without a graph, and backward stops there. Within `memo.remember_answers` a pass
    that has both can leave them first, by `leave_at_layer`.

    Args:
        axes: as for `layer_activation`.

    Raises:
        ValueError: as `layer_activation`, or the score does not depend on the layer through differentiable operations.
    """
    check_explainable(model, x, target)

    def compute() -> AtLayer:
        watch = watch_axes(axes)
        passes = []
        for rows in _at_least_one_chunk(x, chunk):
            with select_rows(rows, len(x)):
                passes.append(_chunk_at_layer(model, x[rows], target[rows], layer, watch))
        return join_passes(passes)

    return answer_once(_layer_question(model, x, target, layer), compute)


def join_passes(passes: list[AtLayer]) -> AtLayer:
    """What came of each chunk, as one; the axes are those that the first pass showed."""
    activation = torch.cat([each.activation for each in passes])
    gradients = [each.gradient for each in passes if each.gradient is not None]
    return AtLayer(activation, passes[0].axes, torch.cat(gradients) if gradients else None)


def leave_at_layer(model: Model, x: Batch, target: Target, layer: str, found: AtLayer) -> None:
    """Leave what `activation_and_gradient` would return, for later calls within `memo.remember_answers`."""
    leave_answer(_layer_question(model, x, target, layer), found)


def _layer_question(model: Model, x: Batch, target: Target, layer: str) -> tuple:
    return "activation and gradient", model, x, target, layer


def _at_least_one_chunk(x: Batch, chunk: int | None) -> list[slice]:
    """Rows that run together; of no inputs, the empty batch still tells what a layer returns."""
    return list(chunks(x, chunk, large=True)) or [slice(0)]


def _chunk_at_layer(model: nn.Module, x: Batch, target: Target, layer: str, watch: AxisWatch | KnownAxes) -> AtLayer:
    """Run one chunk: no graph up to the layer, and a backward pass that ends there."""
    inputs = watch.start(x.detach().clone())
    with cut_graph(model, layer) as leaves:
        with watch:
            logits = chunk_logits(model, inputs)
        total = target_logit(logits, target).sum()
    activation = _only_output(model, layer, leaves, x)
    gradient = None
    if total.requires_grad:
        gradient, *_ = torch.autograd.grad(total, activation, allow_unused=True)
    if gradient is None:
        refuse("layer: no gradient of the score reaches it", layer, "xnb.attribute(model, x, target, 'ablation_cam')")
    add_passes(backward=len(x))
    return AtLayer(activation.detach(), watch.read_axes(activation), gradient)


def _only_output(model: nn.Module, layer: str, outputs: list[object], x: Batch) -> Tensor:
    """The one output of the layer in a pass."""
    check_called_once(model, x, layer, len(outputs))
    output = outputs[0]
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != len(x):
        rule = f"layer: {layer!r} must return a tensor with one row an input ({len(x)})"
        refuse(rule, output, suggest_layer(model, x))
    return output


def check_called_once(model: nn.Module, x: Batch, layer: str, calls: int) -> None:
    if calls != 1:
        rule = f"layer: {layer!r} must be called once in a pass"
        refuse(rule, f"{calls} calls", uncompile_around(model, layer) or suggest_layer(model, x))
