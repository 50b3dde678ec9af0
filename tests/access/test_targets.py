import numpy as np
import pytest
import torch
from torch import nn

import xnb
from xnb.access.score import score
from xnb.access.targets import predict_class


def test_one_logit_speaks_for_class_1_and_against_class_0():
    """Of z = 2 x1 - x2 the gradient is (2, -1) for class 1, (-2, 1) for class 0."""
    net = nn.Linear(2, 1, bias=False).eval()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[2.0, -1.0]]))
    x = torch.tensor([[3.0, 1.0], [-1.0, 1.0]])
    assert predict_class(net(x)).tolist() == [1, 0]
    torch.testing.assert_close(score(net, x, torch.tensor([1, 0])), torch.tensor([5.0, 3.0]))
    a = xnb.attribute_all(net, x, "gradient")
    torch.testing.assert_close(a[0], torch.tensor([[-2.0, 1.0], [2.0, -1.0]]))
    with pytest.raises(ValueError, match=r"must lie in \[0, 2\)"):
        score(net, x, torch.tensor([2, 0]))


@pytest.mark.parametrize("target", [1, [1, 1], (1, 1), np.array([1, 1]), np.int64(1), torch.tensor(1)])
def test_targets_as_people_write_them(target):
    net = nn.Linear(3, 2).eval()
    x = torch.ones(2, 3)
    torch.testing.assert_close(xnb.attribute(net, x, target, "gradient"), net.weight[1].detach().expand(2, 3))


@pytest.mark.parametrize("target", [1.0, [0, 1, 2], None, "cat", True, [[0], [1]], torch.tensor([0.0, 1.0])])
def test_other_targets_are_refused_with_a_line_that_works(target):
    net = nn.Linear(3, 2).eval()
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"^score: target must") as refusal:
        xnb.attribute(net, x, target, "gradient")
    scope = {"torch": torch, "target": target}
    exec(str(refusal.value).split("try: ")[1], scope)
    xnb.attribute(net, x, scope["target"], "gradient")
