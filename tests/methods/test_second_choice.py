import torch
from torch import nn

import xnb
from xnb.access.way_out import FORWARD_ONLY
from xnb.methods.second_choice import suggest_first

NET = nn.Sequential(nn.Flatten(), nn.Linear(8, 3)).eval()
X = torch.ones(2, 2, 4)
TARGET = torch.tensor([0, 1])


def test_the_first_method_with_an_answer_is_named():
    line = suggest_first(NET, X, TARGET, "rollout", "raw_attention", "integrated_gradients", "gradient")
    assert line == "xnb.attribute(model, x, target, 'integrated_gradients')"


def test_where_none_has_one_it_is_a_method_that_only_runs_the_model():
    def model(x):
        return NET(x).detach()

    assert suggest_first(model, X, TARGET, "rollout", "gradient") == FORWARD_ONLY


def test_a_map_that_is_not_finite_is_no_answer():
    def steep(x):
        return NET(x.sqrt())

    zeros = torch.zeros_like(X)
    assert suggest_first(steep, zeros, TARGET, "gradient", "constant") == "xnb.attribute(model, x, target, 'constant')"


def test_only_the_first_input_is_tried_under_few_changes():
    seen = []

    def model(x):
        seen.append(len(x))
        return NET(x)

    suggest_first(model, X, TARGET, "kernel_shap")
    assert sum(seen) < 10
    assert xnb.METHODS.cards["kernel_shap"].needs == "forward"
