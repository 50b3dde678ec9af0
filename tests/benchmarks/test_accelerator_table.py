"""Tests: benchmarks.accelerator. On the processor at the smallest sizes; times are not asserted."""

import json

import pytest
import torch

from benchmarks import accelerator


def test_the_program_runs_on_the_processor_where_that_is_asked_for(tmp_path, capsys):
    output = tmp_path / "accelerator.json"
    assert accelerator.main(["--device", "cpu", "--quick", "--output", str(output)]) == 0
    found = json.loads(output.read_text())
    assert found["conditions"]["device"] == "cpu"
    assert found["conditions"]["torch"] == torch.__version__
    asked = [(row["inputs"], row["method"]) for row in found["rows"]]
    assert asked == [(inputs, method) for inputs in (1, 2) for method in accelerator.QUICK_METHODS]
    for row in found["rows"]:
        assert set(row["milliseconds an explanation"]) == set(row["peak MiB"]) == set(accelerator.FORMS)
        assert min(row["milliseconds an explanation"].values()) > 0
        assert 0 < row["mixed precision"]["largest_error"] < 2
    printed = capsys.readouterr().out
    assert "small CNN, 2 inputs, gradient: " in printed
    assert printed.endswith("stored in accelerator.json\n")


@pytest.mark.parametrize("arguments", [[], ["--quick"], ["--device", "cpu"]])
def test_without_an_accelerator_it_says_so_and_stores_nothing(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(accelerator, "find_accelerator", lambda: None)
    output = tmp_path / "accelerator.json"
    assert accelerator.main([*arguments, "--output", str(output)]) == 1
    assert capsys.readouterr().out.startswith("no accelerator is there; ")
    assert not output.exists()


def test_what_torch_does_not_find_is_no_accelerator(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert accelerator.find_accelerator() is None
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("mps"))
    assert accelerator.find_accelerator() == "mps"


def test_ten_methods_and_two_networks_are_measured():
    assert len(set(accelerator.METHODS)) == 10
    assert {network.side for network in accelerator.NETWORKS.values()} == {224, 32}
