"""TensorFlow, in its own process, beside PyTorch and beside what is recorded of it.

What is recorded is always compared; the other side runs where `make tensorflow` has installed it.

Tests: frameworks.tensorflow_side, frameworks.explain_tensorflow, frameworks.debugging_tensorflow, frameworks.record
"""

import re

import numpy as np
import pytest
import torch

from frameworks import ask_tensorflow, planted, record, study, torch_side

ARRAYS, FACTS = record.read()
live_only = pytest.mark.skipif(
    not ask_tensorflow.is_installed(), reason="TensorFlow is not installed: `make tensorflow` does it, apart"
)


def check_parity(arrays):
    """In double precision 1e-5 and far below; in single precision too, but for pictures whose path meets a kink."""
    assert max(record.measure_parity(arrays, torch.float64).values()) < 1e-6
    for name in torch_side.MAKERS:
        for what, mine in torch_side.explain(name, record.COUNT).items():
            difference = np.abs(arrays[f"explain/float32/{name}/{what}"] - mine.numpy())
            of_input = difference.reshape(record.COUNT, -1).max(1)
            assert np.median(of_input) < 1e-5, f"{name}, {what}"
            assert of_input.max() < 1e-3, f"{name}, {what}"


def check_finds(found):
    """Four finds: each bug by its own tool, and the unscaled input by dead units too."""
    finds = {bug: study.name_finds(facts) for bug, facts in found.items()}
    assert [name for name, yes in finds["unscaled input"].items() if yes] == ["dead units", "bad operation"]
    assert [name for name, yes in finds["dead ReLU"].items() if yes] == ["dead units"]
    assert [name for name, yes in finds["shifted labels"].items() if yes] == ["label shift"]
    assert not any(finds["none"].values())
    assert found["unscaled input"]["bad operation"] == "Log"


def test_what_is_recorded_agrees_with_torch():
    check_parity(ARRAYS)


def test_what_is_recorded_finds_the_bugs():
    check_finds(FACTS["found"])
    assert ARRAYS.keys() >= {f"losses/{bug}" for bug in planted.BUGS}


def test_what_is_recorded_is_small_and_says_by_whom():
    assert record.ARRAYS.stat().st_size < 500_000
    pinned = dict(
        re.findall(r"^([a-z-]+)==(.+)$", (torch_side.FOLDER / "requirements-tensorflow.txt").read_text(), re.M)
    )
    versions = FACTS["versions"]
    assert versions["tensorflow_cpu"] == pinned["tensorflow-cpu"]
    assert versions["keras"] == pinned["keras"]
    assert FACTS["machine"].keys() >= {"date", "cores", "threads", "load before", "torch", "triton"}


def test_inputs_are_the_recorded_ones():
    for name in torch_side.MAKERS:
        np.testing.assert_array_equal(torch_side.load_inputs(name, record.COUNT).x, ARRAYS[f"inputs/{name}/x"])


@pytest.fixture(scope="module")
def live():
    return record.ask_all()


@live_only
def test_the_other_side_agrees_with_torch(live):
    check_parity(live.arrays)


@live_only
def test_the_other_side_finds_the_bugs(live):
    check_finds(live.facts["found"])


@live_only
def test_the_other_side_says_what_is_recorded(live):
    """To 1e-5 in double precision, 1e-3 where single precision can meet a kink; losses that diverge are left out."""
    assert live.arrays.keys() == ARRAYS.keys()
    assert live.facts["versions"].keys() == FACTS["versions"].keys()
    assert live.facts["events"]["kinds"] == FACTS["events"]["kinds"]
    for name in ARRAYS.keys() - {"losses/unscaled input"}:
        tolerance = 1e-5 if "float64" in name else 1e-3
        np.testing.assert_allclose(live.arrays[name], ARRAYS[name], rtol=tolerance, atol=tolerance, err_msg=name)


@live_only
def test_mistakes_cost_on_the_other_side_what_they_cost_here(live):
    from frameworks import keras_side
    from frameworks.convert import MISTAKES

    x = torch_side.load_inputs("cnn", record.COUNT).x
    for mistake, conversion in MISTAKES.items():
        here = keras_side.load("cnn", conversion)(x).detach().numpy()
        np.testing.assert_allclose(live.arrays[f"mistakes/{mistake}/logits"], here, rtol=1e-4, atol=1e-4)


@live_only
def test_a_question_that_fails_says_its_last_words():
    with pytest.raises(ValueError, match="tensorflow: its process ended with 1") as refusal:
        ask_tensorflow.ask("nothing", {})
    assert "KeyError: 'nothing'" in str(refusal.value)


def test_without_the_other_environment_the_refusal_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(ask_tensorflow, "INSTALLED", tmp_path / "installed")
    with pytest.raises(ValueError, match="try: make tensorflow"):
        ask_tensorflow.ask("explain", {})
