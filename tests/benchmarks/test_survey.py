"""Tests: benchmarks.survey. The page of networks and methods is complete, and still what `lint` says."""

import json
import re

import pytest
import torch
from torch import nn

from benchmarks.survey.answers import ask, file_of, read_or_ask
from benchmarks.survey.networks import NETWORKS, Published, calibrate
from benchmarks.survey.table import write_table
from xnb.folders import ROOT
from xnb.methods import METHODS

SMALL = Published("own", "linear", lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 10)), 4)
QUICK = ["shufflenet_v2_x0_5", "mobilenet_v3_small", "squeezenet1_1", "resnet10t", "ViT", "ConvNext"]


def test_the_page_names_every_network():
    page = (ROOT / "MODELS.md").read_text()
    for network in NETWORKS:
        assert f"| {network.library} {network.name} |" in page
        assert f"### {network.library} {network.name}\n" in page


def section_of(network):
    page = (ROOT / "MODELS.md").read_text()
    return page.split(f"### {network.library} {network.name}\n")[1].split("\n### ")[0]


@pytest.mark.parametrize("name", QUICK)
def test_the_page_says_what_lint_says(name):
    network = next(network for network in NETWORKS if network.name == name)
    refused = {method for method, reason in ask(network).items() if reason}
    assert set(re.findall(r"`(\w+)`(?=[,:])", section_of(network))) & METHODS.keys() == refused


def test_an_answer_on_file_is_not_asked_for_again(tmp_path):
    first = read_or_ask(SMALL, tmp_path)
    path = file_of(SMALL, tmp_path)
    record = json.loads(path.read_text())
    record["reasons"]["gradient"] = "from the file"
    path.write_text(json.dumps(record))
    assert read_or_ask(SMALL, tmp_path)["gradient"] == "from the file"
    assert read_or_ask(SMALL, tmp_path, again=True) == first


def test_reasons_are_grouped():
    refused = {"lrp": "lrp: no rule got: 3 try: this", "deep_lift": "deep_lift: no rule got: 3 try: that"}
    reasons = dict.fromkeys(METHODS, "") | refused
    page = write_table({"own net": reasons})
    assert f"| own net | {len(METHODS) - 2} |" in page
    assert "- `deep_lift`, `lrp`: no rule got: 3\n" in page
    assert "Nothing." in write_table({"own net": dict.fromkeys(METHODS, "")})


def test_calibrated_norms_pass_on_what_is_normal():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    x = 50 * torch.randn(6, 3, 8, 8) + 7
    out = calibrate(net, x)(x)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(out.std((0, 2, 3)), torch.ones(4), rtol=0, atol=0.02)
    assert not net.training
