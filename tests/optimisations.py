"""Every optimisation of the package, and how a test switches it off: each by one name of one module.

As SQLite does it: what has to be equal with and without is run once without. `XNB_PLAIN=1 pytest ...` runs any tests
so; those that test an optimisation itself are marked `optimised`, with the reason, and are left out then.
"""

from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch

from xnb.access.copies import copy_module
from xnb.access.hooks import first_output, forward_hooks
from xnb.access.score import logits


def forget_answers(patch):
    """No memo: within `remember_answers` every question is computed anew."""
    nothing = SimpleNamespace(get=lambda: None, set=lambda value: None, reset=lambda token: None)
    patch("xnb.access.memo", "_ANSWERS", nothing)


def run_one_input_at_a_time(patch):
    """Chunks of one, where no one asks for another size; on an accelerator they are as large as its memory allows."""
    patch("xnb.access.chunking", "CHUNK_BYTES", 0)
    patch("xnb.access.chunking", "CHUNK_LEAST", 1)
    patch("xnb.access.chunking", "_SPREAD", 1.0)  # a chunk of one holds no quarter more
    patch("xnb.methods.cam_by_channel", "_ABLATED_BYTES", 0)


def occlude_by_full_passes(patch):
    """No crops: every occluded picture goes through the whole model."""
    patch("xnb.methods.occlusion", "score_by_crops", lambda *args: None)


def run_all_before_a_layer(patch):
    """Ablated activations go through the whole model, in which the layer alone answers from the record."""
    suffix = import_module("xnb.access.suffix")
    real = suffix._record_outputs

    def record_layer(model, x, layer, watch):
        record, out = real(model, x, layer, watch)
        return {name: record[name] for name in ("", layer) if name in record}, out

    patch("xnb.access.suffix", "_record_outputs", record_layer)


def keep_the_graph_before_a_layer(patch):
    """The gradient at a layer comes from a pass whose graph begins at the input."""

    @contextmanager
    def keep_graph(model, layer):
        kept = []

        def keep(module, args, out):
            output = first_output(out)
            if not isinstance(output, torch.Tensor) or not output.is_floating_point():
                kept.append(output)
                return out
            own = output if output.requires_grad else output.detach().requires_grad_()
            kept.append(own)
            rest = own.clone()
            return type(out)([rest, *out[1:]]) if type(out) in (tuple, list) else rest

        with torch.enable_grad(), forward_hooks([(model.get_submodule(layer), keep)]):
            yield kept

    patch("xnb.access.at_layer", "cut_graph", keep_graph)


def share_no_gradients(patch):
    """`explain` runs no pass for several methods: each runs its own."""
    patch("xnb.explanation.many_methods", "share_gradients", lambda model, x, target, layers: logits(model, x))


def run_equal_inputs_again(patch):
    """`attribute_all` runs an input again for each class."""
    patch("xnb.methods.calls", "_skip_repeats", lambda model: model)


def prepare_nothing(patch):
    """`prepare` returns a plain copy."""

    def copy(model, x=None, *, mixed_precision=False, compiled=False):
        return copy_module(model).requires_grad_(False)

    patch("xnb", "prepare", copy)  # first: it is looked up there only when asked for, and has to come back
    patch("xnb.access.preparation", "prepare", copy)


def sum_masks_one_by_one(patch):
    """Masks are weighed one at a time."""
    patch("xnb.methods.masking", "BLOCK", 1)


def explain_one_chunk_a_call(patch):
    """Metrics of neighbours hand a method one chunk at a time."""
    patch("xnb.metrics.neighbours", "_CHUNKS_PER_CALL", 1)


def solve_for_the_players(patch):
    """Regressions have a matrix of the players, also where the coalitions are fewer."""

    def solve_shapley(pairs, mean, residuals):
        centred = pairs.members.double() - mean
        weighted = centred.mT * pairs.weights
        return torch.linalg.pinv(weighted @ centred, hermitian=True, rtol=1e-10) @ (weighted @ residuals)

    def solve_ridge(members, kernel, scores, ridge):
        inside = members.double()
        centred = inside - (kernel / kernel.sum(1, keepdim=True))[:, None] @ inside
        weighted = (centred * kernel[..., None]).mT
        penalty = ridge * torch.eye(members.shape[1]).to(inside)
        return torch.linalg.solve(weighted @ centred + penalty, weighted @ scores[..., None])[..., 0]

    patch("xnb.methods.regression", "_solve_by_coalitions", solve_shapley)
    patch("xnb.methods.regression", "_fit_ridge_by_coalitions", solve_ridge)


def solve_all_removals_by_bands(patch):
    """Noisy linear imputation has one way to solve its equations of a picture."""
    patch("xnb.metrics.imputers", "_SPARSE_SHARE", 0.0)


OPTIMISATIONS = {
    function.__name__: function
    for function in (
        forget_answers,
        run_one_input_at_a_time,
        occlude_by_full_passes,
        run_all_before_a_layer,
        keep_the_graph_before_a_layer,
        share_no_gradients,
        run_equal_inputs_again,
        prepare_nothing,
        sum_masks_one_by_one,
        explain_one_chunk_a_call,
        solve_for_the_players,
        solve_all_removals_by_bands,
    )
}


@contextmanager
def switch_off(*names):
    """Within the block these optimisations are off; all of them by default."""
    with pytest.MonkeyPatch.context() as monkeypatch:

        def patch(module, name, value):
            monkeypatch.setattr(import_module(module), name, value)

        for name in names or OPTIMISATIONS:
            OPTIMISATIONS[name](patch)
        yield
