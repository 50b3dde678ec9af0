"""Tests: xnb.access.model_call."""

from functools import partial

import pytest
import torch
from torch import nn

import xnb
from xnb.access.rows import select_rows


def test_a_missing_batch_axis_is_named():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    for model, x in ((net, torch.ones(3, 8, 8)), (nn.Linear(3, 2).eval(), torch.ones(3))):
        with pytest.raises(ValueError, match=r"x = x\[None\]"):
            xnb.attribute(model, x, [0] * len(x), "gradient")


def test_training_mode_shows_through_partial_calls_and_methods():
    net = nn.Linear(3, 2)
    for model in (partial(net), net.forward, partial(net.forward)):
        with pytest.raises(ValueError, match="evaluation mode"):
            xnb.attribute(model, torch.ones(1, 3), 0, "gradient")


class Casting(nn.Module):
    """Takes any dtype, and fails where a gradient is asked for."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        if x.requires_grad:
            raise RuntimeError("no gradient today")
        return self.linear(x.float())


def test_an_error_that_is_not_the_inputs_stays_what_it_is():
    """Neither dtype, nor batch axis, nor number of inputs is blamed: the model runs on these very inputs."""
    x = torch.ones(5, 3, dtype=torch.double)
    with select_rows(slice(1), 5), pytest.raises(RuntimeError, match="no gradient today"):
        xnb.attribute(Casting().eval(), x[:1], 0, "gradient")


def test_a_refusal_is_not_explained_again():
    net = nn.Sequential(nn.Linear(3, 2)).eval()
    with select_rows(slice(1), 5), pytest.raises(ValueError, match=r"^grad_cam|^class activation map|^layer"):
        xnb.attribute(net, torch.ones(1, 3), 0, "grad_cam")


def test_one_number_an_input_is_no_missing_batch_axis():
    """`nn.Linear(3, 1)` takes a table, its rows, and `x[None]` too: the output `(B,)` is what is refused."""
    net = nn.Linear(3, 1).eval()
    for answer in (xnb.lint, lambda model, x: xnb.attribute(model, x, 1, "gradient")):
        for model in (lambda z: net(z).squeeze(-1), lambda z: z.sum(-1)):
            said = _reason(answer, model, torch.ones(4, 3))
            assert "score: model must return logits (B, K)" in said
            assert "model = xnb.adapters.two_classes(model)" in said


def _reason(answer, model, x):
    """The refusal, as it is raised or stands in the table of `lint`."""
    try:
        return answer(model, x).loc["gradient", "reason"]
    except ValueError as error:
        return str(error)


class Greedy(nn.Module):
    """Takes three inputs at most, forward, and two backward: more are an error of memory."""

    def forward(self, x):
        if len(x) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return _Squares.apply(x)


class _Squares(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        if len(x) > 2:
            raise RuntimeError("MPS backend out of memory")
        return 2 * x * gradient


@pytest.mark.parametrize(("chunk", "half"), [(8, 4), (4, 2), (3, 1)])
def test_the_end_of_memory_is_refused_with_half_the_chunk(chunk, half):
    x = torch.ones(8, 3)
    with pytest.raises(torch.OutOfMemoryError, match=rf"memory of cpu\n  got: .*\n  try: chunk={half} "):
        xnb.attribute(Greedy().eval(), x, 0, "gradient", chunk=chunk)


def test_a_chunk_that_fits_is_explained():
    x = torch.arange(24.0).view(8, 3)
    a = xnb.attribute(Greedy().eval(), x, 0, "gradient", chunk=2)
    assert torch.equal(a[:, 0], 2 * x[:, 0])


def test_one_input_that_does_not_fit_is_refused_with_a_method_that_keeps_less():
    class Full(nn.Module):
        def forward(self, x):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")

    with pytest.raises(torch.OutOfMemoryError, match=r"try: xnb\.attribute.*feature_ablation"):
        xnb.attribute(Full().eval(), torch.ones(1, 3), 0, "gradient")
