"""Many methods at once: the same maps, fewer passes, an honest bill.

Tests: xnb.access.shared_gradients
"""

import math
import subprocess
import sys

import pytest
import torch
from networks import Counted
from torch import nn

from xnb import METHODS, attribute, explain
from xnb.access.ledger import leave_note
from xnb.access.score import score
from xnb.check import PromiseWarning
from xnb.models import SmallCNN

FREE = ("random", "edges", "centre", "baseline_distance", "constant")

PARTS = ("legrad", "attcat", "token_cam", "token_occlusion")  # run the parts of a Transformer, which Counted is not


class Twice(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(self.net[0](x))


@pytest.fixture
def counted(model):
    return Counted(model).eval()


def test_the_maps_are_those_of_attribute(model, x, target):
    names = [name for name, card in METHODS.cards.items() if card.family != "attention"]
    found = explain(model, x, target, names).attributions
    assert list(found) == names
    torch.testing.assert_close(explain(model, x, target, ["gradient"]).logits, model(x).detach())
    for name, a in found.items():
        torch.testing.assert_close(a, attribute(model, x, target, name), rtol=1e-9, atol=1e-12, msg=name)


def test_one_forward_and_one_backward_pass_for_four_questions(counted, x, target):
    layered = ("grad_cam", "hires_cam", "layer_cam", "grad_cam_plus_plus")
    ledger = explain(counted, x, target, ("gradient", "gradient_times_input", *layered)).ledger
    assert counted.forwards == 5 + 1  # and one picture to find the layer
    assert counted.backwards == 5
    assert ledger["forward"].sum() == counted.forwards / 5
    assert ledger["backward"].sum() == 1
    assert (ledger.loc["gradient":, ["forward", "backward"]] == 0).all(axis=None)


# their pass from the score ends at the attention, which the hook on the input does not see
STOPS_AT_ATTENTION = {
    "attention_flow",
    "chefer",
    "gradient_weighted_attention",
    "leave_one_out",
    "raw_attention",
    "rollout",
    "value_weighted_attention",
}


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(FREE) - set(PARTS)))
def test_the_ledger_counts_what_the_model_sees(name, counted, x, target):
    row = explain(counted, x, target, [name]).ledger[["forward", "backward"]].sum()
    if name not in {"ablation_cam", "grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam"}:  # they run parts of it
        assert row["forward"] == pytest.approx(counted.forwards / 5)
    if METHODS.cards[name].family != "cam":  # stops at the layer, which the hook on the input does not see
        assert row["backward"] == pytest.approx(counted.backwards / 5 + (name in STOPS_AT_ATTENTION))


def test_same_noise_is_asked_once(counted, x, target):
    explain(
        counted, x, target, ("smoothgrad", "vargrad"), knobs={"smoothgrad": {"samples": 8}, "vargrad": {"samples": 8}}
    )
    assert counted.forwards == 5 * (1 + 8)  # and once for the logits


def test_gap_and_error(model, x, target):
    ledger = explain(model, x, target, ("integrated_gradients", "gradient", "smoothgrad")).ledger
    a = attribute(model, x, target, "integrated_gradients").flatten(1).sum(1)
    change = score(model, x, target) - score(model, torch.zeros_like(x), target)
    assert ledger.loc["integrated_gradients", "gap"] == pytest.approx(float(((a - change) / change).abs().max()))
    assert math.isnan(ledger.loc["gradient", "gap"])
    assert 0 < ledger.loc["smoothgrad", "standard_error"] < 1
    assert (ledger["seconds"] > 0).all()


def test_the_ledger_says_which_promise_is_broken_and_each_method_warns_once(model, x, target, monkeypatch):
    """One step from a grey picture misses more than a tenth; LRP that leaves half of the score keeps a half."""

    def halving(model, x, target, *, composite="epsilon"):
        leave_note(conserved=torch.tensor([1.0, 0.5, 0.9, 1.0, 1.0]), layer="features")
        return x

    monkeypatch.setitem(METHODS._functions, "lrp", halving)
    knobs = {"integrated_gradients": {"steps": 1, "baseline": 3.0}}
    with pytest.warns(PromiseWarning) as caught:
        ledger = explain(model, x, target, ("lrp", "integrated_gradients", "gradient"), knobs=knobs).ledger
    assert [str(warning.message).split(":")[0] for warning in caught] == ["lrp", "integrated_gradients"]
    assert {warning.filename for warning in caught} == {__file__}
    assert ledger["broken"].tolist()[1:] == [
        "its sum is 50 % of the score",
        f"its sum misses the change of score by {100 * ledger.loc['integrated_gradients', 'gap']:.3g} % of it",
        "",
    ]
    assert ledger.loc["lrp", "conserved"] == 0.5
    assert ledger["layer"].tolist() == ["", "features", "", ""]


def test_the_check_runs_two_passes_and_the_shared_row_pays_for_them(counted, x, target):
    ledger = explain(counted, x, target, ("integrated_gradients", "deep_lift")).ledger
    assert ledger.loc["integrated_gradients", ["forward", "backward"]].tolist() == [32, 32]
    assert ledger.loc["shared", "forward"] <= 1 + 2 + 2  # the logits, and the two ends of each method's path
    assert ledger["forward"].sum() == counted.forwards / 5


@pytest.mark.usefixtures("as_users_run")
def test_one_name_one_number_and_a_reading_by_name(model, x):
    found = explain(model, x, 1, "gradient")
    assert torch.equal(found["gradient"], attribute(model, x, 1, "gradient"))
    with pytest.raises(
        ValueError, match=r"no method of that name was asked for\n  got: 'gradeint'\n  try: .*'gradient'"
    ):
        found["gradeint"]


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("slip", "says"),
    [
        ({"knobs": {"gradient": {"stepz": 3}}}, "gradient: no knob of that name"),
        ({"x": "picture.png"}, "explain: x must be a tensor"),
        ({"target": [0, 1]}, "one entry per input"),
        ({"methods": [["gradient"]]}, "one name, a string"),
    ],
)
def test_slips_are_refused_before_anything_runs(slip, says, counted, x, target):
    with pytest.raises(ValueError, match=says):
        explain(**{"model": counted, "x": x, "target": target, "methods": ["gradient"], **slip})
    assert counted.forwards == 0


def test_no_inputs(model, x, target):
    found = explain(model, x[:0], target[:0], ("gradient", "integrated_gradients", "random"))
    assert found.logits.shape == (0, 3)
    assert {a.shape for a in found.attributions.values()} == {(0, 2, 6, 6)}


HUNGRY = """
import torch
from xnb import explain

class Hungry(torch.nn.Module):
    def forward(self, x):
        return torch.ones(2**24, dtype=torch.double).mul(2)[:1] * 0 + x.flatten(1)[:, :3]  # 2 x 128 MiB

x = torch.rand(2, 2, 6, 6, dtype=torch.double)
ledger = explain(Hungry().eval(), x, torch.zeros(2, dtype=torch.long), ["gradient", "constant"]).ledger
print(ledger.loc["shared", "peak_mib"], ledger.loc["constant", "peak_mib"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system keeps no peak")
def test_peak_memory_sees_a_large_buffer():
    """In a process of its own: what earlier tests freed would be used again, and not be seen."""
    done = subprocess.run([sys.executable, "-c", HUNGRY], check=True, capture_output=True, text=True)
    shared, constant = map(float, done.stdout.split())
    assert 100 < shared < 400
    assert constant < 20


def test_in_place_modules_do_not_spoil_what_is_shared(x, target):
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 3)).double().eval()
    found = explain(net, x, target, ("gradient", "grad_cam"), knobs={"grad_cam": {"layer": "0"}}).attributions
    torch.testing.assert_close(found["grad_cam"], attribute(net, x, target, "grad_cam", layer="0"))
    torch.testing.assert_close(found["gradient"], attribute(net, x, target, "gradient"))


def test_a_layer_that_is_called_twice_is_refused_as_by_the_method_alone(x, target):
    net = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Flatten(), nn.Linear(72, 3)).double().eval()
    twice = Twice(net).eval()
    for ask in (
        lambda *given: explain(*given, ["gradient", "grad_cam"], knobs={"grad_cam": {"layer": "net.0"}}),
        lambda *given: attribute(*given, "grad_cam", layer="net.0"),
    ):
        with pytest.raises(ValueError, match="must be called once"):
            ask(twice, x, target)


def test_unknown_names_are_refused_before_anything_runs(counted, x, target):
    with pytest.raises(ValueError, match="no method of that name"):
        explain(counted, x, target, ("gradient", "gradcam"))
    assert counted.forwards == 0


def test_pictures_in_float32():
    model, x = SmallCNN().eval(), torch.rand(3, 3, 32, 32)
    found = explain(model, x, torch.tensor([1, 2, 3]), ("gradient", "grad_cam", "random"))
    assert [a.dtype for a in found.attributions.values()] == [torch.float32] * 3
    assert list(found.ledger.index) == ["shared", "gradient", "grad_cam", "random"]


def test_a_function_shares_what_it_can_and_has_no_layers(model, x, target):
    def function(z):
        return model(z)

    found = explain(function, x, target, ("gradient", "gradient_times_input"))
    torch.testing.assert_close(found.attributions["gradient"], attribute(model, x, target, "gradient"))
    assert found.ledger["backward"].sum() == 1
