"""Functions written out in smaller ones return what torch's own do.

Tests: xnb.access.functions.recurrence
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from xnb.access.functions.written_out import WRITTEN_OUT_FUNCTIONS

RNG = torch.Generator().manual_seed(0)


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.double, generator=RNG)


class WrittenOut(TorchFunctionMode):
    """Within it the written form runs in place of torch's own; `called` are those that did."""

    def __init__(self):
        super().__init__()
        self.called = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = function.__name__
        self.called.add(name)
        return WRITTEN_OUT_FUNCTIONS.get(name, function)(*args, **(kwargs or {}))


X = drawn(3, 4, 6, 5)
M = drawn(5, 5)
CALLS = {
    "layer_norm": lambda: F.layer_norm(X, (6, 5), drawn(6, 5).fill_(2.0)),
    "group_norm": lambda: F.group_norm(X, 2, X[0, :, 0, 0], X[0, :, 0, 1]),
    "instance_norm": lambda: F.instance_norm(X, weight=X[0, :, 0, 0], bias=X[0, :, 0, 1]),
    "instance_norm running": lambda: F.instance_norm(X, X[0, :, 0, 0], X[0, :, 0, 1] ** 2, use_input_stats=False),
    "rms_norm": lambda: F.rms_norm(X, (5,), X[0, 0, 0]),
    "local_response_norm": lambda: F.local_response_norm(X, 3, 0.5, 0.7, 2.0),
    "local_response_norm even": lambda: F.local_response_norm(X[..., 0], 2),
    "normalize": lambda: F.normalize(X, dim=2),
    "cosine_similarity": lambda: F.cosine_similarity(X, X.flip(1)),
    "lp_pool2d": lambda: F.lp_pool2d(X, 2, (2, 3), 1),
    "lp_pool1d": lambda: F.lp_pool1d(X[0].abs(), 3.0, 2),
    "glu": lambda: F.glu(X, 1),
    "softmin": lambda: F.softmin(X, 1),
    "addmm": lambda: torch.addmm(M[0], M, M),
    "addmm scaled": lambda: torch.addmm(M[0], M, M, beta=2, alpha=3),
    "baddbmm": lambda: torch.baddbmm(M, M.expand(3, 5, 5), M.expand(3, 5, 5), beta=0.5, alpha=2),
    "addcmul": lambda: torch.addcmul(X, X, X, value=0.5),
    "lerp": lambda: torch.lerp(X, X.flip(0), 0.3),
    "var": lambda: X.var((2, 3)),
    "var biased": lambda: X.var(1, unbiased=False, keepdim=True),
    "std": lambda: X.std(1, keepdim=True),
    "std of all": lambda: X.std(),
    "norm": lambda: X.norm(2, 1),
    "maximum": lambda: torch.maximum(X, -X),
    "minimum": lambda: torch.minimum(X, -X),
}


@pytest.mark.parametrize("name", CALLS)
def test_same_values(name):
    with WrittenOut() as seen:
        found = CALLS[name]()
    assert name.split()[0] in seen.called
    torch.testing.assert_close(found, CALLS[name](), rtol=1e-9, atol=1e-12)


KNOBS = [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}, {"bias": False, "num_layers": 2}]
LAYERS = [(nn.LSTM, {}), (nn.GRU, {}), (nn.RNN, {}), (nn.RNN, {"nonlinearity": "relu"})]


@pytest.mark.parametrize("knobs", KNOBS, ids=str)
@pytest.mark.parametrize(("make", "kind"), LAYERS, ids=str)
@torch.no_grad()
def test_recurrent_layers(make, kind, knobs):
    layer = make(6, 7, **kind, **knobs).double()
    x = drawn(3, 4, 6)
    with WrittenOut():
        out, ends = layer(x)
    expected, expected_ends = layer(x)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(ends, expected_ends, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
@torch.no_grad()
def test_cells(make):
    cell = make(6, 7).double()
    with WrittenOut():
        found = cell(drawn(3, 6).fill_(0.3))
    torch.testing.assert_close(found, cell(drawn(3, 6).fill_(0.3)), rtol=1e-9, atol=1e-12)


def test_what_cannot_be_written_out_says_so():
    x = nn.utils.rnn.pack_sequence([drawn(4, 6), drawn(2, 6)])
    with pytest.raises(ValueError, match=r"packed sequences cannot be written out\n.*\n  try: xnb"), WrittenOut():
        nn.LSTM(6, 7).double()(x)
    with pytest.raises(ValueError, match="a layer with a projection"), WrittenOut():
        nn.LSTM(6, 7, proj_size=3).double()(drawn(3, 4, 6))
