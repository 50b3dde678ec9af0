"""Tools that find planted bugs, in PyTorch; those of TensorFlow are tried in `test_tensorflow.py`.

Tests: frameworks.debugging_torch, frameworks.planted
"""

import numpy as np
import pytest
import torch
from torch import nn

from frameworks import debugging_torch, planted, study
from frameworks.ask_tensorflow import read_events

RNG = np.random.default_rng(0)
X, Y = RNG.random((200, 64), dtype=np.float32), RNG.integers(0, 10, 200)


def test_a_unit_is_dead_if_no_input_switches_it_on():
    """Of two units, x + 1 and x - 1 with x in [0, 1/2], the second never fires."""
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    net.load_state_dict({"0.weight": torch.ones(2, 1), "0.bias": torch.tensor([1.0, -1.0])})
    assert debugging_torch.find_dead_units(net, torch.rand(9, 1) / 2) == {"1": 0.5}
    assert not net[1]._forward_hooks


def test_anomaly_mode_names_the_step_and_nothing_where_all_is_well():
    net = nn.Linear(1, 2)
    net.load_state_dict({"weight": torch.tensor([[1.0], [-1.0]]), "bias": torch.zeros(2)})
    labels = torch.tensor([1])
    assert debugging_torch.find_bad_operation(net, torch.tensor([[1.0]]), labels) == ""
    assert debugging_torch.find_bad_operation(net, torch.tensor([[1000.0]]), labels) == "SoftmaxBackward0"


def test_the_shift_is_the_most_frequent_offset():
    """Predictions 1, 2, 0 beside labels 0, 1, 9 are one digit ahead."""
    net = nn.Identity()
    logits = torch.eye(10)[[1, 2, 0]]
    assert debugging_torch.find_label_shift(net, logits, torch.tensor([0, 1, 9])) == 1
    assert debugging_torch.find_label_shift(net, logits, torch.tensor([1, 2, 9])) == 0


def test_the_network_computes_what_its_weights_say():
    trial = planted.plant("none", X, Y)
    hidden = np.maximum(X @ trial.start["hidden1"][0], 0)
    hidden = np.maximum(hidden @ trial.start["hidden2"][0], 0)
    expected = hidden @ trial.start["head"][0]
    got = debugging_torch.build(trial)(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_bugs_are_what_they_are_called():
    trials = {bug: planted.plant(bug, X, Y) for bug in planted.BUGS}
    assert (trials["dead ReLU"].start["hidden1"][1] == -10).all()
    np.testing.assert_allclose(trials["unscaled input"].x, X * 255)
    assert ((trials["shifted labels"].y - Y) % 10 == 1).all()
    assert trials["none"].start["hidden1"][1].tolist() == [0] * 32


def test_batches_hold_each_row_once_an_epoch():
    """200 rows make three batches of 64."""
    batches = list(planted.draw_batches(200, epochs=2))
    assert [len(rows) for rows in batches] == [64] * 6
    assert len(set(np.concatenate(batches[:3]))) == 192


def test_event_files_hold_the_losses(tmp_path):
    net = debugging_torch.build(planted.plant("none", X, Y))
    debugging_torch.write_events(net, torch.from_numpy(X), [2.0, 1.0], tmp_path)
    events = read_events(tmp_path)
    assert events["losses"] == [2.0, 1.0]
    assert events["kinds"]["histograms"] == ["hidden1"]
    assert debugging_torch.list_operations(net)[1:-1] == ["hidden1", "relu1", "hidden2", "relu2", "head"]


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"dead": {"relu1": 0.4, "relu2": 0.0}, "bad operation": "", "label shift": 0}, set()),
        ({"dead": {"relu1": 0.4, "relu2": 1.0}, "bad operation": "Log", "label shift": 9}, {0, 1, 2}),
    ],
)
def test_what_counts_as_found(facts, found):
    assert {number for number, value in enumerate(study.name_finds(facts).values()) if value} == found
