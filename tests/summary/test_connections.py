"""Edges between modules: by hand, and beside what torchvision traces."""

from itertools import pairwise

import networkx as nx
import torch
from torch import nn
from torchvision.models import resnet18, vit_b_16
from torchvision.models.feature_extraction import get_graph_node_names

from xnb import summary
from xnb.models import FastNet, Net, SmallCNN


def test_edges_of_a_chain_and_a_join():
    assert summary.list_edges(Net().eval(), torch.zeros(1, 10))[:3] == [
        ("input", "flatten"),
        ("flatten", "linear1"),
        ("linear1", "relu1"),
    ]
    joined = [a for a, b in summary.list_edges(FastNet().eval(), torch.rand(1, 3, 32, 32)) if b == "blocks.2.add"]
    assert sorted(joined) == ["blocks.1.project.norm", "blocks.2.project.norm"]
    into = [a for a, b in summary.list_edges(SmallCNN().eval(), torch.rand(1, 3, 32, 32)) if b == "stage1.1.add"]
    assert sorted(into) == ["stage1.0.2", "stage1.1.norm2"]


def test_edges_pass_through_functions():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.b(torch.relu(self.a(x)) + x)

    assert summary.list_edges(Functional(), torch.rand(1, 2)) == [("input", "a"), ("a", "b"), ("input", "b")]


def test_edges_of_torchvisions_networks():
    """Modules in place, a module used twice, and attention that runs none of its children."""
    with torch.device("meta"):
        model, x = resnet18().eval(), torch.empty(1, 3, 64, 64)
    found = summary.list_edges(model, x)
    assert [a for a, b in found if b == "layer1.0.relu"] == ["layer1.0.bn1"]
    assert sorted(a for a, b in found if b == "layer1.0.relu_1") == ["layer1.0.bn2", "maxpool"]
    modules = {name.rsplit("_", 1)[0] if name.endswith("relu_1") else name for edge in found for name in edge}
    assert modules == {"input", *(n for n, m in model.named_modules() if not list(m.children()))}
    assert nx.is_directed_acyclic_graph(nx.DiGraph(found))

    with torch.device("meta"):
        model, x = vit_b_16().eval(), torch.empty(1, 3, 224, 224)
    block = "encoder.layers.encoder_layer_0"
    assert (f"{block}.ln_1", f"{block}.self_attention") in summary.list_edges(model, x)
    assert (f"{block}.self_attention", f"{block}.dropout") in summary.list_edges(model, x)


def test_edges_of_a_chain_are_what_torchvision_traces():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Identity(), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 2)).eval()
    nodes = get_graph_node_names(net)[1]
    assert summary.list_edges(net, torch.zeros(1, 1, 8, 8)) == list(pairwise(nodes))
