"""On an accelerator, where there is one: every method and metric answers there, and with the processor's numbers.

The processor itself is among the devices, beside which it agrees exactly: so these tests run everywhere, and an
accelerator is one device more. `make accelerator` runs them alone.
"""

import copy

import pytest
import torch
from torch import nn

import xnb
from xnb import METHODS, attribute
from xnb.comparison import estimate_cost
from xnb.data import Part
from xnb.metrics import METRICS

FOUND = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
DEVICES = ["cpu", *(name for name, there in FOUND.items() if there)]
# A graphics card rounds sums in another order, and convolutions to ten bits where nobody forbids it.
TOLERANCE = {"cpu": 0.0, "cuda": 1e-3, "mps": 1e-3}

pytestmark = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture
def plain():
    """A network and inputs in single precision, which all devices have."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)]
    x = torch.randn(4, 2, 6, 6)
    return nn.Sequential(*layers).eval(), x, torch.tensor([0, 1, 2, 0])


def move(plain, device):
    model, x, target = plain
    return copy.deepcopy(model).to(device), x.to(device), target.to(device)


def check_close(found, expected, device, rounding=0.0):
    assert found.device.type == device
    assert found.dtype == expected.dtype
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        found.cpu(), expected, rtol=0, atol=max(TOLERANCE[device], rounding) * scale, equal_nan=True
    )


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_the_numbers_of_the_processor(name, device, plain):
    try:
        expected = attribute(*plain, name)
    except ValueError:
        pytest.skip("this network has nothing that the method looks at")
    check_close(attribute(*move(plain, device), name), expected, device)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_has_the_numbers_of_the_processor(name, device, plain):
    model, x, target = plain
    masks = torch.zeros(4, 1, 6, 6, dtype=torch.bool)
    masks[:, :, 1:3, 2:5] = True
    tables = {}
    for where in ("cpu", device):
        data = Part(*move((model, x, target), where)[1:], masks.to(where))
        tables[where] = xnb.compare(move(plain, where)[0], data, ["gradient_times_input"], [name], seed=0)
    here, there = tables["cpu"], tables[device]
    assert list(here["error"].isna()) == list(there["error"].isna())
    largest = max(float(here["value"].abs().max()), 1.0)
    # Where two pixels are alike to rounding, their order, and so a rank or a step of a curve, may be another.
    close = (here["value"] - there["value"]).abs() <= 10 * TOLERANCE[device] * largest
    assert (close | here["value"].isna()).mean() >= 0.9


def test_a_prepared_model_stays_there(device, plain):
    model, x, target = move(plain, device)
    fast = xnb.prepare(model, x)
    assert next(fast.parameters()).device.type == device
    check_close(attribute(fast, x, target, "gradient"), attribute(*plain, "gradient"), device, rounding=1e-5)


@pytest.mark.parametrize("name", ["gradient", "occlusion", "grad_cam", "lrp"])
def test_mixed_precision_runs_there(name, device, plain):
    """Rounded to 8 binary digits, and differences of scores by more; layers and rules in single precision."""
    model, x, target = move(plain, device)
    fast = xnb.prepare(model, x, mixed_precision=True)
    expected = attribute(*plain, name)
    rounding = 1e-5 if name in {"grad_cam", "lrp"} else 0.25
    check_close(attribute(fast, x, target, name), expected, device, rounding)


@pytest.mark.skipif(not FOUND["cuda"], reason="compiling for a processor takes a minute; other tests do it")
def test_compiled_code_runs_there(device, plain):
    model, x, target = move(plain, device)
    fast = xnb.prepare(model, x, compiled=True)
    check_close(attribute(fast, x, target, "gradient"), attribute(*plain, "gradient"), device, rounding=1e-5)


def test_a_chunk_is_as_large_as_memory_allows(device, plain):
    """Whatever the chunk, the same numbers: also where the device has more memory than the processor has cache."""
    model, x, target = move(plain, device)
    by_one = attribute(model, x, target, "occlusion", chunk=1)
    check_close(attribute(model, x, target, "occlusion"), by_one.cpu(), device, rounding=1e-5)


def test_cost_is_measured_there(device, plain):
    model, x, target = move(plain, device)
    cost = estimate_cost(model, Part(x, target), ["gradient"], ["srg"])
    assert cost.forward > 0
