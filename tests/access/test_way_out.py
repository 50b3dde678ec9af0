import pytest
import torch
from torch import nn

from xnb import adapters
from xnb.access.way_out import FORWARD_ONLY, OtherMethod, reaches_input, suggest_method
from xnb.check import refuse

NET = nn.Linear(4, 3).eval()
X = torch.ones(2, 4)
WITHOUT_GRADIENT = {
    "a function of arrays": adapters.from_numpy(lambda x: x @ NET.weight.detach().double().numpy().T),
    "no graph": lambda x: NET(x).detach(),
    "a graph that does not begin at x": lambda x: NET(x.detach()),
    "a function without a derivative": lambda x: NET(torch.special.zeta(x + 1, x + 1)),
}


def test_a_method_of_gradients_is_named_where_a_gradient_reaches_the_input():
    assert reaches_input(NET, X)
    assert suggest_method(NET, X, "gradient") == "xnb.attribute(model, x, target, 'gradient')"
    assert suggest_method(NET, X, "gradient", "needs no layer").endswith("'gradient')  # needs no layer")


@pytest.mark.parametrize("why", WITHOUT_GRADIENT)
def test_elsewhere_it_is_a_method_that_only_runs_the_model(why):
    assert not reaches_input(WITHOUT_GRADIENT[why], X)
    assert suggest_method(WITHOUT_GRADIENT[why], X, "gradient", "needs no layer") == FORWARD_ONLY


def test_to_look_leaves_no_gradient_behind():
    leaf = X.clone().requires_grad_()
    assert reaches_input(NET, leaf)
    assert leaf.grad is None
    assert NET.weight.grad is None


def test_nothing_is_known_against_a_model_that_fails():
    """It is refused for that by whoever runs it."""
    assert reaches_input(lambda x: NET(x[:, :2]), X)


def test_one_row_runs_of_what_a_model_holds_for_each_input():
    model = adapters.with_inputs(lambda x, scale: NET(x) * scale, scale=torch.ones(2, 1))
    assert reaches_input(model, X)


@pytest.mark.parametrize(("model", "expected"), [(NET, "try: line"), (WITHOUT_GRADIENT["no graph"], FORWARD_ONLY)])
def test_a_refusal_in_a_pass_gets_the_other_line_where_no_gradient_is(model, expected):
    with pytest.raises(ValueError, match="rule") as caught, OtherMethod(model, X):
        refuse("rule", "what came", "line")
    assert str(caught.value).endswith(expected)


def test_other_errors_pass_as_they_are():
    error = ValueError("no refusal, of a line")
    with pytest.raises(ValueError, match="no refusal, of a line"), OtherMethod(WITHOUT_GRADIENT["no graph"], X):
        raise error
