"""The answer has the numbers that xnb gives, and says what they are worth.

Tests: services.core.answers, services.core.controls, services.core.trials
"""

import numpy as np
import pytest
import tiny_models
import torch
import uploads as u
from torch import nn

import xnb
from services.core.answers import explain_picture, predict_picture
from services.core.controls import measure_controls
from services.core.models import ServedModel
from services.core.pictures import decode_picture, read_header
from services.core.questions import Question
from services.core.refusals import Refusal
from services.core.trials import Trials
from xnb.access.score import score
from xnb.metrics import METRICS

SERVED = tiny_models.tiny()
PICTURE = read_header(u.PHOTOGRAPH, 10**6)


def explain(served=SERVED, most_passes=600, **asked):
    return explain_picture(served, PICTURE, Question(u.PHOTOGRAPH, **asked), Trials(most_passes))


@pytest.fixture(scope="module")
def x():
    return tiny_models.read(decode_picture(PICTURE))


def test_the_map_is_that_of_attribute_and_the_logits_those_of_the_model(x):
    answer = explain(method="integrated_gradients", target=3, knobs={"steps": 8, "baseline": "mean"})
    a = xnb.attribute(SERVED.model, x, 3, "integrated_gradients", steps=8, baseline="mean")
    assert np.array_equal(answer.map, a[0].numpy())
    assert np.array_equal(answer.logits, SERVED.model(x)[0].detach().numpy())
    assert np.array_equal(answer.seen, x[0].numpy())


def test_the_class_is_the_predicted_one_unless_it_is_said(x):
    best = int(SERVED.model(x).argmax())
    answer = explain(method="gradient", knobs={})
    assert answer.facts["target"]["index"] == best
    assert answer.facts["predicted"][0]["index"] == best
    logits = SERVED.model(x)[0].detach().double()
    assert answer.facts["target"]["probability"] == pytest.approx(float(logits.softmax(0)[best]), rel=1e-6)
    assert explain(method="gradient", target=0, knobs={}).facts["target"]["name"] == "one"


def test_gap_and_baseline_output(x):
    """The gap of a complete map is what its sum misses of the change of score, as a share of it."""
    answer = explain(method="integrated_gradients", target=2, knobs={"steps": 3})
    target = torch.tensor([2])
    at_input = float(score(SERVED.model, x, target))
    at_black = float(score(SERVED.model, torch.zeros_like(x), target))
    change = at_input - at_black
    assert answer.facts["baseline_output"] == pytest.approx(at_black, rel=1e-5)
    missed = abs(float(answer.map.astype(np.float64).sum()) - change) / abs(change)
    assert answer.facts["gap"] == pytest.approx(missed, abs=1e-5)
    assert answer.facts["standard_error"] is None


def test_a_sampled_map_has_a_standard_error_and_no_gap_and_follows_its_seed():
    first, again, other = (explain(method="smoothgrad", knobs={"samples": 4}, seed=seed) for seed in (1, 1, 2))
    assert first.facts["standard_error"] > 0
    assert first.facts["gap"] is None
    assert np.array_equal(first.map, again.map)
    assert not np.array_equal(first.map, other.map)
    assert first.facts["method"]["knobs"] == {"samples": 4, "seed": 1}


def test_controls_are_measured_as_the_map_is(x):
    """Each score is that of the metric called by itself; lower beats."""
    target = torch.tensor([1])
    a = xnb.attribute(SERVED.model, x, target, "gradient_times_input")
    controls, passes = measure_controls(SERVED.model, x, target, a, seed=3)
    maps = {"method": a, "edges": xnb.attribute(SERVED.model, x, target, "edges")}
    maps["random"] = xnb.attribute(SERVED.model, x, target, "random", seed=3)
    for name, values in maps.items():
        alone = METRICS["deletion"](SERVED.model, x, target, values, steps=controls["steps"], seed=3)
        assert controls[name] == pytest.approx(float(alone), rel=1e-6), name
    for name in ("edges", "random"):
        assert controls["beaten"][name] == (controls["method"] < controls[name])
    assert passes.forward > 0
    assert passes.backward == 0


def test_controls_of_a_model_that_nothing_moves_are_unknown(x):
    """A class whose probability never changes: no map can be told from another, and the answer says so."""

    class Constant(nn.Module):
        def forward(self, x):
            return torch.zeros(len(x), 3) + 0 * x.sum()

    controls, _ = measure_controls(Constant().eval(), x, torch.tensor([1]), x.clone(), seed=0)
    assert controls["method"] is None
    assert controls["beaten"] == {"edges": None, "random": None}
    assert set(controls["not_measured"]) == {"method", "edges", "random"}


def test_the_verdict_is_that_of_lint(x):
    answer = explain(method="lrp", knobs={})
    row = xnb.lint(SERVED.model, x).loc["lrp"]
    assert (answer.facts["lint"]["valid"], answer.facts["lint"]["reason"]) == (row.valid, row.reason)
    assert answer.facts["lint"]["caution"] == row.caution


def test_passes_are_those_that_ran(x):
    answer = explain(method="integrated_gradients", knobs={"steps": 5})
    assert answer.facts["passes"]["method"] == {"forward": 5, "backward": 5}
    occluded = explain(method="occlusion", knobs={"window": 16, "stride": 16})
    assert occluded.facts["passes"]["method"]["forward"] == 5  # a grid of 2 x 2, and the picture itself


def test_what_costs_too_much_is_refused_before_it_runs():
    with pytest.raises(Refusal, match="at most 600 passes") as refused:
        explain(method="exact_shapley", knobs={})
    assert refused.value.status == 422
    assert explain(method="integrated_gradients", knobs={"steps": 8}, most_passes=18)
    with pytest.raises(Refusal, match="at most 17 passes"):
        explain(method="integrated_gradients", knobs={"steps": 8}, most_passes=17)


def test_a_method_that_refuses_the_model_says_why():
    with pytest.raises(Refusal) as refused:
        explain(method="rollout", knobs={})
    assert refused.value.status == 422
    assert "no attention was seen" in refused.value.rule
    assert "integrated_gradients" in refused.value.way_out


@pytest.mark.parametrize(("method", "knobs"), [("grad_cam", {"layer": "nowhere"}), ("raw_attention", {"block": 60})])
def test_a_knob_that_the_model_makes_wrong(method, knobs):
    with pytest.raises(Refusal) as refused:
        explain(method=method, knobs=knobs)
    assert refused.value.status == 422


def test_a_class_that_the_model_does_not_have():
    with pytest.raises(Refusal, match="has 8 classes") as refused:
        explain(method="gradient", target=8, knobs={})
    assert refused.value.way_out == "target=7"


def test_logits_that_are_not_finite_are_refused():
    class Infinite(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3] / 0

    served = ServedModel("infinite", Infinite().eval(), ("a", "b", "c"), tiny_models.read)
    with pytest.raises(Refusal) as refused:
        explain(served, method="gradient", knobs={})
    assert refused.value.status == 422


def test_a_prediction_has_the_logits_and_the_best_classes(x):
    facts = predict_picture(SERVED, PICTURE)
    assert facts["logits"] == SERVED.model(x)[0].tolist()
    probabilities = [best["probability"] for best in facts["predicted"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_trial_is_remembered_and_not_without_end():
    trials = Trials(600)
    for steps in range(1, 300):
        trials._seen[str(steps)] = {}
    explain_picture(SERVED, PICTURE, Question(u.PHOTOGRAPH, method="gradient", knobs={}), trials)
    assert len(trials._seen) == 256


class OneLogit(nn.Module):
    """The mean of a picture, times a weight."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x):
        return self.weight * x.flatten(1).mean(1, keepdim=True)


@pytest.mark.parametrize(("weight", "predicted"), [(4.0, 1), (-4.0, 0)])
def test_one_logit_has_two_classes(weight, predicted, x):
    """Class 1 has the logit z and class 0 the logit -z; the probability of each is the sigmoid of its logit."""
    served = ServedModel("one", OneLogit(weight).eval(), ("no", "yes"), tiny_models.read)
    z = weight * float(x.mean())
    facts = explain(served, method="gradient", knobs={}).facts
    assert facts["target"]["index"] == predicted
    assert facts["target"]["logit"] == pytest.approx(abs(z), rel=1e-5)
    assert facts["target"]["probability"] == pytest.approx(1 / (1 + np.exp(-abs(z))), rel=1e-5)
    other = explain(served, method="gradient", target=1 - predicted, knobs={})
    assert other.facts["target"]["logit"] == pytest.approx(-abs(z), rel=1e-5)
    assert other.map.sum() == pytest.approx(-weight * (1 if predicted else -1), rel=1e-4)
    assert other.logits.tolist() == pytest.approx([z], rel=1e-5)


def test_probabilities_that_a_model_states_are_taken_as_they_are(x):
    stating = nn.Sequential(tiny_models.Tiny(), nn.Softmax(1)).eval()
    served = ServedModel("stating", stating, tiny_models.CLASSES, tiny_models.read)
    facts = explain(served, method="gradient", knobs={}).facts
    assert facts["target"]["probability"] == pytest.approx(float(stating(x).detach().max()), rel=1e-6)


def test_labels_that_do_not_exclude_each_other(x):
    served = ServedModel("labels", SERVED.model, tiny_models.CLASSES, tiny_models.read, unit="sigmoid")
    facts = explain(served, method="gradient", target=2, knobs={}).facts
    assert facts["target"]["probability"] == pytest.approx(float(SERVED.model(x)[0, 2].detach().sigmoid()), rel=1e-6)
    a = torch.from_numpy(explain(served, method="gradient", target=2, knobs={}).map)[None]
    alone = METRICS["deletion"](SERVED.model, x, torch.tensor([2]), a, steps=8, unit="sigmoid")
    assert facts["controls"]["unit"] == "sigmoid"
    assert facts["controls"]["method"] == pytest.approx(float(alone), rel=1e-6)
