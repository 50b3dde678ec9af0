"""`lint` says of each method what `attribute` would do, and what trips other libraries."""

import math
import re
import warnings

import pytest
import torch
from networks import Counted, patches, pooling
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer, resnet18

from xnb import METHODS, attribute, lint, progress
from xnb.access.ledger import count_passes
from xnb.access.rows import follow_rows
from xnb.check import PromiseWarning
from xnb.explanation import applicability
from xnb.models import Net, SmallCNN


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Linear(16 * 4, 3)

    def forward(self, x):
        return self.head(self.act(self.act(F.relu(self.conv(x)) + 0.1) - 0.2).flatten(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRU(12, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.cell(x.flatten(2).transpose(1, 2).reshape(len(x), 6, 12))[0][:, -1])


class Gated(nn.Module):
    """A product of two signals, which rules refuse."""

    def __init__(self):
        super().__init__()
        self.value, self.gate, self.head = nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3), nn.Linear(64, 3)

    def forward(self, x):
        return self.head((self.value(x) * self.gate(x).sigmoid()).flatten(1))


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().double().eval()


NETS = {
    "functional": Functional,
    "recurrent": Recurrent,
    "gated": Gated,
    "transformer": patches,
    "pooling": pooling,
    "one logit": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(64, 1)),
    "norms": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 3)
    ),
    "no rows and columns": lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 8), nn.Tanh(), nn.Linear(8, 3)),
    "wrong output": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()),
    "infinite": lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.Threshold(1e9, math.inf)),
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.usefixtures("as_users_run")
def test_the_verdict_and_the_cost_are_those_of_attribute(net, x):
    """For every method: valid where the whole call with its defaults ends well, and then in as many passes."""
    model = seeded(NETS[net])
    table = lint(model, x)
    assert set(table.index) == set(METHODS)
    for name, row in table.iterrows():
        if row["valid"]:
            target = 0 if net == "one logit" else 1
            with count_passes() as passes:
                attribute(model, x[:1], target, name)
            assert (row["forward"], row["backward"]) == (passes.forward, passes.backward), name
        else:
            assert math.isnan(row["forward"])
            with pytest.raises(Exception, match=re.escape(row["reason"].split(" got: ")[0])):
                attribute(model, x[:1], 0, name)


@pytest.mark.filterwarnings("error")
def test_a_dozen_passes_whatever_a_method_asks_for():
    """At 64 pixels the default calls take thousands of passes, a trial some of one picture. It warns of nothing."""
    net = SmallCNN().eval()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for name in METHODS:
        counted = Counted(net).eval()
        applicability.try_method(counted, x[:1], torch.tensor([1]), name)
        assert counted.forwards <= 12, name
    table = lint(net, x)
    assert table.loc["exact_shapley", "forward"] == 2**16
    assert table.loc["exact_shapley", "caution"].startswith("65,536 passes of an input")
    assert table.loc["exact_shapley", "valid"]
    assert table.loc["gradient", "caution"] == ""


def test_a_promise_that_a_trial_breaks_is_no_warning(x):
    steps = nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.Hardtanh(0, 1e-3)).double().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", PromiseWarning)
        lint(steps, x)


def test_a_trial_announces_nothing(monkeypatch, capfd):
    """Of 65,536 passes two are run."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 2.0)
    net = SmallCNN().eval()
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert applicability.try_method(net, picture, torch.tensor([1]), "exact_shapley") is None
    assert capfd.readouterr().err == ""


def test_training_mode_is_no_missing_batch_axis():
    """A sum takes inputs of any shape, `x[None]` too: each method gives the reason that holds."""

    class Sums(nn.Module):
        def forward(self, z):
            return torch.stack([z.flatten(1).sum(1), -z.flatten(1).sum(1)], 1)

    table = lint(Sums(), torch.ones(4, 3))
    assert "model must be in evaluation mode" in table.loc["gradient", "reason"]


def test_the_bar_names_the_method(x, monkeypatch):
    seen = []

    def watch(items, total, unit, describe):
        seen.extend(describe(item) for item in items)
        return seen

    monkeypatch.setattr(applicability, "show_progress", watch)
    lint(Functional().double().eval(), x)
    assert seen == list(METHODS)


@pytest.mark.usefixtures("as_users_run")
def test_slips_are_refused_in_own_words(x):
    net = Functional().double().eval()
    with pytest.raises(ValueError, match=r"lint: x must have a batch axis \(B, ...\)\n.*\n  try: x = x\[None\]"):
        lint(net, x[0])
    with pytest.raises(ValueError, match=r"lint: x must be a tensor .*\n.*\n  try: x = torch.as_tensor"):
        lint(net, x.numpy())


def test_no_inputs_are_judged_by_a_blank_one(x):
    net = Functional().double().eval()
    assert lint(net, x[:0])["valid"].tolist() == lint(net, x)["valid"].tolist()


def test_a_baseline_with_a_row_for_each_input_of_the_caller(x):
    """What belongs to an input follows it: of five rows the first is that of the input which is tried."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 3)).double().eval()
    shift = torch.arange(5.0).double()[:, None]
    assert lint(lambda z: net(z) + follow_rows(shift, len(z), "shift"), x).loc["occlusion", "valid"]


def test_cautions_name_what_other_libraries_trip_over(x):
    table = lint(Functional().double().eval(), x)
    caution = table.loc["guided_backprop", "caution"]
    assert "in place: act" in caution
    assert "reused module: act" in caution
    assert "functional activation: relu() in the model" in caution
    assert table.loc["gradient", "caution"] == ""


def test_a_transformer():
    vit = VisionTransformer(image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32).eval()
    table = lint(vit, torch.randn(1, 3, 32, 32))
    assert table.loc["integrated_gradients", "valid"]
    assert table.loc[["lrp", "deep_lift", "rollout", "chefer", "legrad", "grad_cam"], "valid"].all()
    assert not table.loc[["guided_backprop", "deconvnet"], "valid"].any()  # there is no ReLU
    assert "fused attention" in table.loc["lrp", "caution"]


def test_torchvisions_residual_network():
    table = lint(resnet18().eval(), torch.randn(1, 3, 64, 64))
    without = {name for name, card in METHODS.cards.items() if card.family == "attention"}
    assert set(table.index[~table["valid"]]) == without, table[~table["valid"]]["reason"].to_dict()
    assert "in place: relu, layer1.0.relu, layer1.1.relu and" in table.loc["lrp", "caution"]


def test_a_table_has_no_layers_and_no_edges():
    table = lint(Net().eval(), torch.randn(2, 10))
    assert table.loc["kernel_shap", "valid"]
    assert {"grad_cam", "occlusion", "edges", "centre"} <= set(table.index[~table["valid"]])


@pytest.mark.usefixtures("as_users_run")
def test_training_mode_integers_and_functions(x):
    table = lint(SmallCNN(), torch.randn(1, 3, 32, 32))
    assert table["valid"].sum() == 5  # the controls, which do not look
    assert "in training mode: SmallCNN, stage1, stage1.0 and" in table.loc["lrp", "caution"]
    whole = lint(SmallCNN().eval(), torch.zeros(1, 3, 32, 32, dtype=torch.long))
    assert "floating point" in whole.loc["gradient", "reason"]
    function = lint(lambda z: z.flatten(1)[:, :3] ** 2, x)
    assert function.loc["integrated_gradients", "valid"]
    assert "nn.Module" in function.loc["grad_cam", "reason"]


def test_only_the_methods_that_are_asked_for(model, x):
    """The rows are those of the whole table, and an unknown name is refused before anything runs."""
    rows = lint(model, x, methods=["lrp", "gradient"])
    assert list(rows.index) == ["lrp", "gradient"]
    assert rows.loc["lrp"].equals(lint(model, x).loc["lrp"])
    assert lint(model, x, methods="gradient").index.tolist() == ["gradient"]
    counted = Counted(model)
    with pytest.raises(ValueError, match="no method of that name"):
        lint(counted, x, methods=["gradent"])
    assert counted.forwards == 0
