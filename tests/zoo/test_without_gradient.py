"""Networks through which no gradient goes, under every method: what is refused leads to a method that answers.

Where a gradient would reach the input, integrated gradients are the next best; here the line to try must not name them.
"""

import warnings

import pytest
import torch
from picture_networks import classify
from refused import check_refusal
from sequence_networks import Recurrent
from torch import nn
from zoo import KNOBS, ZOO

import xnb
from xnb import METHODS


class Without(nn.Module):
    """A network that runs where no graph is recorded."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    @torch.no_grad()
    def forward(self, x):
        return self.body(x)


class NewHead(nn.Module):
    """A trained head on frozen features: there is a graph, and it begins behind the body."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        return self.head(self.body(x).detach())


class Numbers(nn.Module):
    """Token ids as floats, that are looked up in a table."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.layer(self.table((5 * x).long())).mean(1))


class UnknownFunctions(nn.Module):
    """Functions that no rule is known for."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        return torch.special.i0(self.body(x)).mean((2, 3)).detach()


def as_function():
    body = classify(nn.ReLU()).double().eval()
    return lambda x: body(x).detach()


NETWORKS = {
    "convolutions": (lambda: Without(classify(nn.ReLU())), (2, 8, 8)),
    "convolutions, new head": (lambda: NewHead(classify(nn.ReLU())), (2, 8, 8)),
    "a function": (as_function, (2, 8, 8)),
    "functions without rules": (UnknownFunctions, (2, 8, 8)),
    "recurrent": (lambda: NewHead(Recurrent(nn.LSTM)), (5, 3)),
    "attention": (lambda: Without(ZOO["class token first"].make()), (2, 8, 8)),
    "attention, new head": (lambda: NewHead(ZOO["records, class token last"].make()), (6,)),
    "windows": (lambda: Without(ZOO["shifted windows"].make()), (2, 8, 8)),
    "pooled by attention": (lambda: NewHead(ZOO["bag, attention pooling"].make()), (5, 4)),
    "numbers of words": (Numbers, (5,)),
}


class Kind:
    """A network and its inputs, as `check_refusal` asks for them."""

    def __init__(self, name):
        self.name = name
        self.make, self.shape = NETWORKS[name]

    def build(self):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = self.make()
            return model.double().eval() if isinstance(model, nn.Module) else model

    def inputs(self):
        return torch.rand(3, *self.shape, generator=torch.Generator().manual_seed(1), dtype=torch.double) + 0.2

    def target(self):
        return torch.arange(3)


KINDS = {name: Kind(name) for name in NETWORKS}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"exact_shapley"}))
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.usefixtures("as_users_run")
def test_what_is_refused_leads_to_a_method_that_answers(network, name):
    kind = KINDS[network]
    knobs = KNOBS.get(name, {}) if METHODS.cards[name].family == "perturbation" and name != "occlusion" else {}
    settings = "".join(f", {knob}={value}" for knob, value in knobs.items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = xnb.attribute(kind.build(), kind.inputs(), kind.target(), name, **knobs)
        except ValueError as refusal:
            check_refusal(str(refusal), kind, f"xnb.attribute(model, x, target, {name!r}{settings})")
        else:
            # what words pay attention to has a gradient, though their numbers have none
            assert METHODS.cards[name].needs != "gradient" or network == "numbers of words"
            assert found.isfinite().all()
