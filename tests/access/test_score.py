import pytest
import torch
from networks import ScratchLinear
from torch import nn

from xnb.access.score import gradient_and_score, input_gradient, logits, score


def test_score_is_the_target_logit(model, x, target):
    with torch.no_grad():
        expected = torch.stack([model(x)[i, t] for i, t in enumerate(target)])
    assert torch.equal(score(model, x, target), expected)
    assert not score(model, x, target).requires_grad


def test_slope_of_a_bilinear_function_in_closed_form(x, target):
    """f_k(x) = (k + 1) sum(x)^2 / 2 has the gradient (k + 1) sum(x) everywhere."""

    def model(z):
        return z.flatten(1).sum(1, keepdim=True).square() / 2 * torch.arange(1.0, 4, dtype=z.dtype)

    expected = ((target + 1) * x.flatten(1).sum(1)).view(-1, 1, 1, 1).expand_as(x)
    torch.testing.assert_close(input_gradient(model, x, target), expected)


def test_an_inplace_first_module_does_not_reach_the_caller(x, target):
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 3)).double().eval()
    before = x.clone()
    input_gradient(model, x, target)
    assert torch.equal(x, before)


def test_empty_batch(model, x, target):
    assert input_gradient(model, x[:0], target[:0]).shape == (0, 2, 6, 6)


SHAPED = nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.Unflatten(1, (3, 1))).double().eval()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m, x, t: score(m, x, t + 7), r"target must lie in \[0, 3\)\n  got: \[7, 8, 9, 8, 7\]\n  try: target ="),
        (lambda m, x, t: score(m, x, -1 - t), r"target must lie in"),
        (lambda m, x, t: score(m, x, t[:2]), r"one entry per input \(5,\)\n  got: int64\[2\]"),
        (lambda m, x, t: score(m, x, t.double()), "integer"),
        (lambda m, x, t: score(m.train(), x, t), r"evaluation mode\n  got: .*\n  try: model.eval\(\)"),
        (lambda m, x, t: score(SHAPED, x, t), r"got: float64\[5,3,1\]"),
        (lambda m, x, t: score(m, x.long(), t), "floating point"),
        (lambda m, x, t: input_gradient(m, x, t, chunk=0), "at least 1 input"),
        (lambda m, x, t: input_gradient(lambda z: m(z).detach(), x, t), "no gradient reaches x"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_refusals(call, says, model, x, target):
    with pytest.raises(ValueError, match=says):
        call(model, x, target)


def test_inference_mode_is_refused(model, x, target):
    with torch.inference_mode(), pytest.raises(ValueError, match=r"torch\.no_grad"):
        input_gradient(model, x, target)


def test_logits_match_the_model(model, x):
    with torch.no_grad():
        torch.testing.assert_close(logits(model, x, chunk=2), model(x))


def test_a_model_may_return_memory_of_its_own(x, target):
    """Every batch of as many inputs overwrites the logits of the one before."""
    linear = nn.Linear(72, 3).double()
    model = nn.Sequential(nn.Flatten(), ScratchLinear(linear)).eval()
    expected = linear(x[:4].flatten(1)).relu().detach()
    torch.testing.assert_close(logits(model, x[:4], chunk=2), expected)
    _, scores = gradient_and_score(model, x[:4], target[:4], chunk=2)
    torch.testing.assert_close(scores, expected.gather(1, target[:4, None]).squeeze(1))
