"""Batch norms that stand behind a convolution and must not be folded: each net as it is, with and without a pass."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils import weight_norm as hook_weight_norm

from xnb import prepare
from xnb.access.foldable import foldable_pairs

pytestmark = pytest.mark.usefixtures("as_users_run")  # torch.fx calls forward methods with symbols
X = torch.randn(2, 3, 8, 8, dtype=torch.double, generator=torch.Generator().manual_seed(0))


class Chain(nn.Module):
    """A convolution and a batch norm that does something, in a form that subclasses change."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = nn.Sequential(self.make_convolution(), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
            for norm in (self.body[1], self.body[3]):
                norm.running_mean.normal_(0, 0.3)
                norm.running_var.uniform_(0.5, 1.5)
                norm.weight.data.uniform_(0.5, 1.5)
        self.double().eval()

    def make_convolution(self):
        return nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.body(x).mean((2, 3))


class Branching(Chain):
    def forward(self, x):
        return super().forward(x) if float(x.sum()) > -1e9 else x.mean((2, 3))


class Tapped(Chain):
    """The output of the first convolution is used beside its norm; torch.fx cannot follow."""

    def forward(self, x):
        first = self.body[0](x)
        rest = self.body[3](self.body[2](self.body[1](first)))
        return (first + rest if float(x.sum()) > -1e9 else rest).mean((2, 3))


class ReadsWeight(Chain):
    def forward(self, x):
        return super().forward(x) + self.body[0].weight.mean()


class SharesConvolution(Chain):
    def forward(self, x):
        return (self.body[1](self.body[0](x)) + self.body[3](self.body[0](x))).mean((2, 3))


class Tied(Chain):
    """Both convolutions have one parameter."""

    def make_convolution(self):
        return nn.Conv2d(3, 3, 1)

    def __init__(self):
        super().__init__()
        self.body[2].weight = self.body[0].weight


class _Standardised(nn.Conv2d):
    def forward(self, x):
        weight = (self.weight - self.weight.mean()) / self.weight.std()
        return F.conv2d(x, weight, self.bias, padding=1)


class OwnForward(Branching):
    def make_convolution(self):
        return _Standardised(3, 3, 3, padding=1)


class _Rectified(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).relu()


class OwnNorm(Branching):
    def __init__(self):
        super().__init__()
        norm = _Rectified(3).double().eval()
        norm.load_state_dict(self.body[1].state_dict())
        self.body[1] = norm


class Hooked(Branching):
    def __init__(self):
        super().__init__()
        self.body[0].register_forward_hook(lambda module, args, out: out * 2)


class Parametrised(Branching):
    def make_convolution(self):
        return parametrizations.weight_norm(nn.Conv2d(3, 3, 3, padding=1))


class HookedWeight(Branching):
    @pytest.mark.filterwarnings("ignore")
    def make_convolution(self):
        return hook_weight_norm(nn.Conv2d(3, 3, 3, padding=1))


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize("given", [False, True], ids=["followed", "recorded"])
@pytest.mark.parametrize(
    ("make", "followed", "recorded"),
    [
        (Chain, 2, 2),
        (Branching, 0, 2),
        (Tapped, 0, 1),
        (ReadsWeight, 1, 1),
        (SharesConvolution, 0, 0),
        (Tied, 0, 0),
        (OwnForward, 0, 1),
        (OwnNorm, 0, 1),
        (Hooked, 0, 1),
        (Parametrised, 0, 1),
        (HookedWeight, 0, 1),
    ],
)
def test_only_what_is_alone_and_plain_is_folded(make, followed, recorded, given):
    model = make()
    expected = model(X)  # leaves a weight with a graph on a hooked module
    assert len(foldable_pairs(model, X if given else None)) == (recorded if given else followed)
    fast = prepare(model, X) if given else prepare(model)
    torch.testing.assert_close(fast(X), expected.detach(), rtol=1e-9, atol=1e-12)


class Locked(Chain):
    def __deepcopy__(self, memo):
        raise RuntimeError("no copies of me")


def test_a_model_that_allows_no_copy_is_refused_in_own_words():
    with pytest.raises(ValueError, match=r"copy.deepcopy takes\n  got: .*no copies of me.*\n  try: xnb.attribute"):
        prepare(Locked())
