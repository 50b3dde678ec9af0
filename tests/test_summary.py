import json

import pandas as pd
import pytest
import torch
from torch import nn
from torchinfo import summary as torchinfo_summary
from torchvision.models import resnet18, vit_b_16

from xnb import receptive, summary
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
    assert summary.count(model) == parameters
    assert summary.layers(model, x)["parameters"].sum() == parameters
    assert torchinfo_summary(model, input_data=x, device="meta", verbose=0).total_params == parameters


def test_shared_weights_count_once():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    b.weight = a.weight
    model = nn.Sequential(a, b, a)
    assert summary.count(model) == 16 + 4 + 4
    table = summary.layers(model, torch.zeros(1, 4))
    assert table["parameters"].tolist() == [20, 4, 0]
    assert table["multiply_adds"].tolist() == [16, 16, 16]


@pytest.mark.parametrize(("make", "side"), [(SmallCNN, 32), (FastNet, 224), (resnet18, 224)])
def test_multiply_adds_of_convolutions_agree_with_torchinfo(make, side):
    model, x = meta(make, 1, 3, side, side)
    theirs = torchinfo_summary(model, input_data=x, device="meta", verbose=0)
    kinds = ("Conv2d", "Linear")
    expected = sum(row.macs for row in theirs.summary_list if row.class_name in kinds)
    biases = sum(m.out_features for m in model.modules() if isinstance(m, nn.Linear))  # torchinfo adds those
    assert summary.layers(model, x)["multiply_adds"].sum() == expected - biases


def test_rows_of_the_articles_network():
    table = summary.layers(Net().eval(), torch.zeros(2, 10))
    assert table["name"].tolist() == ["flatten", "linear1", "relu1", "linear2", "relu2", "head"]
    row = table.set_index("name").loc["linear1"]
    assert (row["kind"], row["input"], row["output"]) == ("Linear", (2, 10), (2, 256))
    assert (row["parameters"], row["multiply_adds"], row["activations"]) == (2816, 2 * 10 * 256, 512)


def test_grouped_dilated_convolution_and_attention_by_hand():
    conv = nn.Conv2d(8, 16, 3, groups=4, dilation=2)
    table = summary.layers(nn.Sequential(conv), torch.zeros(1, 8, 10, 10))
    assert table["multiply_adds"].item() == 16 * 6 * 6 * (8 // 4) * 9

    attention = nn.MultiheadAttention(12, 3, batch_first=True)
    assert summary.multiply_adds(attention, torch.zeros(2, 5, 12)) == 2 * (4 * 5 * 12 * 12 + 2 * 5 * 5 * 12)


class TestJson:
    table = summary.layers(Net().eval(), torch.zeros(1, 10))

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
            (lambda d: json.dumps(d | {"layers": [{"name": "x"}]}), "must have the fields"),
            (lambda d: json.dumps(d | {"layers": [d["layers"][0] | {"parameters": "many"}]}), "whole numbers"),
            (lambda d: json.dumps(d | {"layers": [d["layers"][0] | {"input": [1.5]}]}), "sizes"),
        ],
    )
    def test_refusals(self, spoil, says):
        with pytest.raises(ValueError, match=says):
            summary.from_json(spoil(json.loads(summary.to_json(self.table))))


def test_edges_of_a_chain_and_a_join():
    assert summary.edges(Net().eval(), torch.zeros(1, 10))[:3] == [
        ("input", "flatten"),
        ("flatten", "linear1"),
        ("linear1", "relu1"),
    ]
    joined = [a for a, b in summary.edges(FastNet().eval(), torch.rand(1, 3, 32, 32)) if b == "blocks.2.add"]
    assert sorted(joined) == ["blocks.1.project.norm", "blocks.2.project.norm"]
    into = [a for a, b in summary.edges(SmallCNN().eval(), torch.rand(1, 3, 32, 32)) if b == "stage1.1.add"]
    assert sorted(into) == ["stage1.0.2", "stage1.1.norm2"]


def test_edges_pass_through_functions():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.b(torch.relu(self.a(x)) + x)

    assert summary.edges(Functional(), torch.rand(1, 2)) == [("input", "a"), ("a", "b"), ("input", "b")]


class TestReceptiveField:
    @pytest.mark.parametrize("layer", ["stage1.0.0", "stage1", "stage2", "stage3"])
    def test_small_cnn(self, layer):
        net, x = SmallCNN().eval(), torch.zeros(1, 3, 128, 128)
        side = receptive.by_formula(receptive.windows(net, x, layer))
        assert receptive.measured(net, x, layer) == (side, side)

    @pytest.mark.parametrize("layer", ["stem", "blocks.4", "blocks.9"])
    def test_fastnet(self, layer):
        net, x = FastNet().eval(), torch.zeros(1, 3, 512, 512)
        side = receptive.by_formula(receptive.windows(net, x, layer))
        assert receptive.measured(net, x, layer) == (side, side)

    def test_by_hand(self):
        assert receptive.by_formula([]) == 1
        assert receptive.by_formula([(3, 1), (3, 1)]) == 5
        assert receptive.by_formula([(7, 2), (3, 2)]) == 7 + 2 * 2

    def test_leaves_the_model_alone(self):
        net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU())
        before = net[0].weight.clone()
        assert receptive.measured(net, torch.zeros(1, 1, 9, 9), "1") == (3, 3)
        assert torch.equal(net[0].weight, before)
