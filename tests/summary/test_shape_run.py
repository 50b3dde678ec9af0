"""Models that shapes alone do not run, several inputs, whole numbers: counts by hand, or a refusal with a way out."""

import pytest
import torch
from torch import nn

import xnb
from xnb import summary

CALLS = [summary.module_table, summary.list_edges, lambda net, x: summary.count_parameters(net)]


class Shifted(nn.Module):
    """Plain tensors as attributes, alone and in a list, which no `.to(device)` moves."""

    def __init__(self):
        super().__init__()
        self.mean, self.parts = torch.zeros(6), [torch.ones(6)]
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head((x - self.mean) / self.parts[0])


class Gated(nn.Module):
    """Control flow that depends on values, and statistics that a pass moves."""

    def __init__(self):
        super().__init__()
        self.norm, self.small, self.large = nn.BatchNorm1d(4), nn.Linear(4, 2), nn.Linear(4, 5)

    def forward(self, x):
        x = self.norm(x)
        return self.large(x) if x.sum() > 100 else self.small(x)


class Text(nn.Module):
    """Numbers of words, their places, and a mask."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(10, 4), nn.Embedding(5, 4)
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 3)

    def forward(self, ids, mask=None):
        tokens = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device)))
        if mask is not None:
            tokens = tokens * mask[..., None]
        return self.head(tokens.mean(1))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 3), nn.Linear(6, 3), nn.Linear(3, 2)

    def forward(self, x, other):
        return self.head(self.a(x) + self.b(other))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.again = nn.Linear(4, 4), nn.Linear(4, 4)
        self.twin = self.layer
        self.again.weight = self.layer.weight

    def forward(self, x):
        return self.twin(self.again(self.layer(x)))


def count(model, x):
    """Parameters and multiply-adds of each row."""
    table = summary.module_table(model, x)
    assert table["parameters"].sum() == summary.count_parameters(model)
    return {row.name: (row.parameters, row.multiply_adds) for row in table.itertuples()}


def test_plain_tensors_are_run_with_their_values():
    net = Shifted()
    assert count(net, torch.zeros(2, 6))["head"] == (21, 36)
    assert summary.list_edges(net, torch.zeros(2, 6)) == [("input", "head")]
    assert net.mean.device.type == "cpu"


def test_control_flow_takes_the_way_that_the_values_take():
    """The other branch's 25 parameters stay with the model, which keeps its statistics: a copy ran."""
    net = Gated().train()
    before = net.norm.running_mean.clone()
    assert count(net, torch.randn(8, 4)) == {"(model)": (25, 0), "norm": (8, 0), "small": (10, 64)}
    assert summary.list_edges(net, torch.randn(8, 4)) == [("input", "norm"), ("norm", "small")]
    assert torch.equal(net.norm.running_mean, before)
    assert net.training
    assert int(net.norm.num_batches_tracked) == 0


@pytest.mark.parametrize("x", [(torch.zeros(2, 4), torch.zeros(2, 6)), [torch.zeros(2, 4), torch.zeros(2, 6)]])
def test_several_inputs_in_their_order(x):
    assert count(Two(), x) == {"a": (15, 24), "b": (21, 36), "head": (8, 12)}
    assert summary.list_edges(Two(), x) == [("input", "a"), ("input", "b"), ("a", "head"), ("b", "head")]


def test_several_inputs_by_name():
    x = {"other": torch.zeros(2, 6), "x": torch.zeros(2, 4)}
    assert count(Two(), x) == {"a": (15, 24), "b": (21, 36), "head": (8, 12)}
    assert summary.module_table(Two(), x)["input"].tolist() == [(2, 4), (2, 6), (2, 3)]
    assert ("input", "b") in summary.list_edges(Two(), x)


@pytest.mark.parametrize("masked", [False, True])
def test_whole_numbers_are_followed_to_the_module_that_reads_them(masked):
    ids = torch.zeros(2, 5).long()
    x = {"ids": ids, "mask": torch.ones(2, 5)} if masked else ids
    assert count(Text(), x) == {"words": (40, 0), "places": (20, 0), "norm": (8, 0), "head": (15, 24)}
    edges = summary.list_edges(Text(), x)
    expected = [("input", "words"), ("places", "norm"), ("words", "norm"), ("norm", "head")]
    assert sorted(edges) == sorted(expected + [("input", "head")] * masked)


def test_numbers_that_a_module_returns_lead_on():
    class Choose(nn.Module):
        def forward(self, x):
            return x.argmax(1)

    net = nn.Sequential(Choose(), nn.Identity(), nn.Embedding(6, 2))
    assert summary.list_edges(net, torch.zeros(2, 6)) == [("input", "0"), ("0", "1"), ("1", "2")]


def test_arguments_by_name_inside_of_a_model_are_seen():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.last = Two(), nn.Linear(2, 1)

        def forward(self, x):
            return self.last(self.inner(x=x[:, :4], other=x))

    edges = summary.list_edges(Outer(), torch.zeros(2, 6))
    assert edges[:2] == [("input", "inner.a"), ("input", "inner.b")]
    assert edges[-1] == ("inner.head", "last")


def test_shared_modules_and_weights_count_once_and_work_each_time():
    """layer: 16 + 4; again: a bias of 4 beside the shared weight; three products of 16 for each of two inputs."""
    net, x = Shared(), torch.zeros(2, 4)
    assert summary.count_parameters(net) == 24
    table = summary.module_table(net, x)
    assert table["parameters"].tolist() == [20, 4, 0]
    assert table["multiply_adds"].tolist() == [32, 32, 32]
    assert summary.list_edges(net, x) == [("input", "layer"), ("layer", "again"), ("again", "layer_1")]


def test_a_model_without_values():
    with torch.device("meta"):
        net = Two()
    assert count(net, (torch.zeros(2, 4), torch.zeros(2, 6)))["head"] == (8, 12)
    assert summary.count_parameters(net) == 44


def follow(error, scope):
    exec(str(error.value).split("try: ")[1], scope)


def test_a_model_without_values_that_needs_some_is_told_how_to_get_them():
    with torch.device("meta"):
        net = Gated()
    scope = {"model": net, "x": torch.zeros(2, 4), "torch": torch}
    for call in (summary.module_table, summary.list_edges):
        with pytest.raises(ValueError, match="without values must run on shapes alone") as error:
            call(net, scope["x"])
    follow(error, scope)
    assert len(summary.module_table(scope["model"], scope["x"])) > 1


@pytest.mark.parametrize(
    "call", [summary.module_table, summary.list_edges, lambda net, x: summary.count_parameters(net)]
)
def test_lazy_modules_are_told_to_run_first(call):
    scope = {"model": nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), "x": torch.zeros(2, 4, 5)}
    with pytest.raises(ValueError, match=r"lazy modules(.|\n)*got: '1: LazyLinear'") as error:
        call(scope["model"], scope["x"])
    follow(error, scope)
    assert summary.count_parameters(scope["model"]) == 63
    call(scope["model"], scope["x"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "call", [summary.module_table, summary.list_edges, lambda net, x: summary.count_parameters(net)]
)
def test_packed_weights_are_not_counted_as_none(call):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    packed = torch.ao.quantization.quantize_dynamic(net, {nn.Linear})
    with pytest.raises(ValueError, match=r"quantised modules pack theirs(.|\n)*got: '0: Linear'") as error:
        call(packed, torch.zeros(2, 4))
    follow(error, {"xnb": xnb, "net": net})


def test_a_model_that_fails_says_so_itself():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        summary.module_table(nn.Linear(4, 3), torch.zeros(2, 5))


def test_inputs_are_tensors_or_several():
    with pytest.raises(ValueError, match="x must be inputs of the model"):
        summary.module_table(nn.Linear(4, 3), "words")
