"""Parameters and multiply-adds by module, beside torchinfo and by hand, and the table as JSON."""

import json

import pandas as pd
import pytest
import torch
from torch import nn
from torchinfo import summary as torchinfo_summary
from torchvision.models import resnet18, vit_b_16

from xnb import summary
from xnb.models import FastNet, Net, SmallCNN


def meta(make, *shape):
    with torch.device("meta"):
        return make().eval(), torch.empty(shape)


@pytest.mark.parametrize(
    ("make", "shape", "parameters"),
    [
        (lambda: nn.Linear(10, 1), (1, 10), 11),
        (Net, (1, 10), 37_002),
        (SmallCNN, (1, 3, 32, 32), 121_562),
        (FastNet, (1, 3, 224, 224), 4_652_008),
        (resnet18, (1, 3, 224, 224), 11_689_512),
        (vit_b_16, (1, 3, 224, 224), 86_567_656),
    ],
)
def test_three_ways_to_count_agree(make, shape, parameters):
    model, x = meta(make, *shape)
    assert summary.count_parameters(model) == parameters
    assert summary.module_table(model, x)["parameters"].sum() == parameters
    assert torchinfo_summary(model, input_data=x, device="meta", verbose=0).total_params == parameters


def test_shared_weights_count_once():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    b.weight = a.weight
    model = nn.Sequential(a, b, a)
    assert summary.count_parameters(model) == 16 + 4 + 4
    table = summary.module_table(model, torch.zeros(1, 4))
    assert table["parameters"].tolist() == [20, 4, 0]
    assert table["multiply_adds"].tolist() == [16, 16, 16]


@pytest.mark.parametrize(("make", "side"), [(SmallCNN, 32), (FastNet, 224), (resnet18, 224)])
def test_multiply_adds_of_convolutions_agree_with_torchinfo(make, side):
    model, x = meta(make, 1, 3, side, side)
    theirs = torchinfo_summary(model, input_data=x, device="meta", verbose=0)
    kinds = ("Conv2d", "Linear")
    expected = sum(row.macs for row in theirs.summary_list if row.class_name in kinds)
    biases = sum(m.out_features for m in model.modules() if isinstance(m, nn.Linear))  # torchinfo adds those
    assert summary.module_table(model, x)["multiply_adds"].sum() == expected - biases


def test_rows_of_the_articles_network():
    table = summary.module_table(Net().eval(), torch.zeros(2, 10))
    assert table["name"].tolist() == ["flatten", "linear1", "relu1", "linear2", "relu2", "head"]
    row = table.set_index("name").loc["linear1"]
    assert (row["kind"], row["input"], row["output"]) == ("Linear", (2, 10), (2, 256))
    assert (row["parameters"], row["multiply_adds"], row["activations"]) == (2816, 2 * 10 * 256, 512)


@pytest.mark.parametrize(
    ("module", "shape", "products"),
    [
        (nn.Conv2d(8, 16, 3, groups=4, dilation=2), (1, 8, 10, 10), 16 * 6 * 6 * (8 // 4) * 9),
        (nn.ConvTranspose2d(3, 4, 3), (1, 3, 8, 8), 8 * 8 * 3 * 4 * 9),
        (nn.Linear(4, 6), (2, 5, 4), 2 * 5 * 4 * 6),  # torchinfo 1.8.0: 60, it forgets the middle axis
    ],
)
def test_multiply_adds_by_hand(module, shape, products):
    assert summary.module_table(module, torch.zeros(shape))["multiply_adds"].tolist() == [products]


class Attention(nn.Module):
    """Self-attention as torch has it, or with its two products written as functions."""

    def __init__(self, *, functional):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 12))
        self.attend = nn.Linear(12, 12) if functional else nn.MultiheadAttention(12, 3, batch_first=True)
        self.functional = functional

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), 1, 12), x], 1)
        if not self.functional:
            return self.attend(x, x, x, need_weights=False)[0]
        return (x @ x.transpose(1, 2)).softmax(2) @ self.attend(x)


@pytest.mark.parametrize(
    ("functional", "expected"),
    [
        (False, [["(model)", 12, 0], ["attend", 4 * 12 * 13, 2 * (4 * 5 * 12 * 12 + 2 * 5 * 5 * 12)]]),
        (True, [["(model)", 12, 2 * 2 * 5 * 5 * 12], ["attend", 12 * 13, 2 * 5 * 12 * 12]]),
    ],
)
def test_attention_by_hand(functional, expected):
    """torchinfo 1.8.0 gives torch's attention no multiply-adds at all."""
    table = summary.module_table(Attention(functional=functional).eval(), torch.zeros(2, 4, 12))
    assert table[["name", "parameters", "multiply_adds"]].to_numpy().tolist() == expected


@pytest.mark.parametrize("call", [summary.module_table, summary.list_edges])
def test_leaves_the_model_alone_even_in_training_mode(call):
    net = SmallCNN(widths=(2, 2, 2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    call(net, torch.rand(4, 3, 8, 8))
    assert net.training
    assert all(value.device.type == "cpu" and torch.equal(value, before[n]) for n, value in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


class TestJson:
    table = summary.module_table(Net().eval(), torch.zeros(1, 10))

    def test_round_trip(self):
        text = summary.to_json(self.table)
        pd.testing.assert_frame_equal(summary.from_json(text), self.table)
        assert summary.to_json(summary.from_json(text)) == text

    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda d: "{", "must be JSON"),
            (lambda d: json.dumps([1]), "schema must be 'xnb.summary'"),
            (lambda d: json.dumps(d | {"schema": "other"}), "schema must be"),
            (lambda d: json.dumps(d | {"version": 2}), r"version must be 1\n  got: 2"),
            (lambda d: json.dumps(d | {"version": True}), "version must be 1"),
            (lambda d: json.dumps({"schema": d["schema"], "version": 1}), r"list of one row or more\n  got: None"),
            (lambda d: json.dumps(d | {"layers": []}), "list of one row or more\n  got: \\[\\]"),
            (lambda d: json.dumps(d | {"layers": [d["layers"][0] | {"activations": -1}]}), "whole numbers"),
            (lambda d: json.dumps(d | {"layers": [d["layers"][0] | {"kind": None}]}), "words"),
            (lambda d: json.dumps(d | {"layers": [{"name": "x"}]}), "must have the fields"),
            (lambda d: json.dumps(d | {"layers": [d["layers"][0] | {"parameters": "many"}]}), "whole numbers"),
            (lambda d: json.dumps(d | {"layers": [d["layers"][0] | {"input": [1.5]}]}), "sizes"),
        ],
    )
    def test_refusals(self, spoil, says):
        with pytest.raises(ValueError, match=says):
            summary.from_json(spoil(json.loads(summary.to_json(self.table))))
