"""Right questions, in every way in and out: both services give the same answer, and it is the right one."""

import base64
import io
import json

import numpy as np
import pytest
import tiny_models
import torch
import uploads as u
from PIL import Image

import xnb
from services.core.models import ServedModel
from xnb.access.score import score

KNOBS = {"steps": 8, "baseline": "mean"}
ASKED = {"method": "integrated_gradients", "target": "3", "seed": "5", "knobs": json.dumps(KNOBS)}


def without_seconds(facts):
    return {name: value for name, value in facts.items() if name != "seconds"}


def read_map(facts):
    part = facts["map"]
    return np.frombuffer(base64.b64decode(part["base64"]), part["dtype"]).reshape(part["shape"])


def text_of(content):
    return base64.b64encode(content).decode()


def see(content=u.PHOTOGRAPH):
    """The input that the tiny model gets of a picture."""
    return tiny_models.read(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.fixture(scope="module")
def model():
    return tiny_models.tiny().model


@pytest.fixture(scope="module")
def facts(both):
    """What both answer, without the seconds."""
    answers = [service.explain(**ASKED) for service in both.values()]
    assert [answer.status_code for answer in answers] == [200, 200]
    flask, django = (without_seconds(answer.json()) for answer in answers)
    assert json.dumps(flask) == json.dumps(django)  # the order too
    assert answers[0].headers["Content-Type"] == answers[1].headers["Content-Type"] == "application/json"
    return flask


def test_the_map_is_that_of_the_package(facts, model):
    expected = xnb.attribute(model, see(), 3, "integrated_gradients", **KNOBS)
    np.testing.assert_allclose(read_map(facts), expected[0].numpy(), rtol=0, atol=1e-7)
    assert facts["method"]["name"] == "integrated_gradients"
    assert facts["method"]["knobs"] == KNOBS


def test_the_logits_are_those_of_the_model(facts, model):
    logits = model(see()).detach()[0]
    np.testing.assert_allclose(facts["logits"], logits.numpy(), rtol=0, atol=1e-6)
    assert facts["target"]["index"] == 3
    assert facts["target"]["name"] == "four"
    assert abs(facts["target"]["logit"] - float(logits[3])) < 1e-6
    assert abs(facts["target"]["probability"] - float(logits.double().softmax(0)[3])) < 1e-7
    order = logits.argsort(descending=True).tolist()
    assert [found["index"] for found in facts["predicted"]] == order[: len(facts["predicted"])]


def test_the_gap_is_by_how_much_the_map_misses_the_change_from_the_baseline(facts, model):
    """|sum of the map - (logit - logit of the mean colour)| / |logit - logit of the mean colour|, both seen here."""
    x = see()
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    at_x, at_mean = (float(score(model, z, torch.tensor([3]))) for z in (x, mean))
    assert abs(facts["baseline_output"] - at_mean) < 1e-6
    total = read_map(facts).astype(np.float64).sum()
    assert abs(facts["gap"] - abs(total - (at_x - at_mean)) / abs(at_x - at_mean)) < 1e-5
    assert facts["conserved"] is None
    assert facts["standard_error"] is None


def test_the_controls_are_measured_as_the_map_is(facts, model):
    measured = facts["controls"]
    x, target = see(), torch.tensor([3])
    maps = {
        "method": torch.tensor(read_map(facts).copy())[None],
        "edges": xnb.attribute(model, x, target, "edges"),
        "random": xnb.attribute(model, x, target, "random", seed=5),
    }
    metric = getattr(xnb.metrics, measured["measure"])
    for name, a in maps.items():
        assert abs(float(metric(model, x, target, a, steps=measured["steps"], seed=5)) - measured[name]) < 1e-6
    lower = measured["better"] == "lower"
    for name in ("edges", "random"):
        assert measured["beaten"][name] == ((measured["method"] < measured[name]) == lower)


def test_passes_are_those_that_the_ledger_counts(facts, model):
    ledger = xnb.explain(model, see(), 3, "integrated_gradients", knobs={"integrated_gradients": KNOBS}).ledger
    of_method = ledger.loc["integrated_gradients"]
    assert facts["passes"]["method"] == {"forward": int(of_method.forward), "backward": int(of_method.backward)}
    assert facts["passes"]["controls"]["forward"] >= 3 * facts["controls"]["steps"]


def test_it_says_which_model_picture_and_versions(facts):
    assert facts["model"]["name"] == "tiny"
    assert facts["model"]["sha256"] == tiny_models.tiny().sha256
    assert len(facts["model"]["sha256"]) == 64
    assert (facts["picture"]["width"], facts["picture"]["height"]) == (32, 24)
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["seed"] == 5
    assert facts["lint"]["valid"] is True
    assert facts["not_shown"]


def test_the_checksum_is_of_names_shapes_types_and_values():
    """Other weights, another type, another order of rows: another sum; the same weights again: the same."""
    net = tiny_models.tiny()
    others = {net.sha256, tiny_models.tiny().sha256}
    assert len(others) == 1
    for change in (lambda w: w * (1 + 1e-6), lambda w: w.double(), lambda w: w.flip(0), lambda w: w.reshape(8, -1, 2)):
        other = torch.nn.Module()
        other.weight = torch.nn.Parameter(change(net.model.layers[4].weight.detach()))
        others.add(ServedModel("other", other.eval(), (), tiny_models.read).sha256)
    assert len(others) == 5


def ways_in(content=u.PHOTOGRAPH):
    fields = {name: (None, value) for name, value in ASKED.items()}
    body = {"method": "integrated_gradients", "target": 3, "seed": 5, "knobs": KNOBS}
    return {
        "a field of a form": {"files": {"picture_base64": (None, text_of(content)), **fields}},
        "a field of a plain form": {"data": {"picture_base64": text_of(content), **ASKED}},
        "JSON": {"json": {"picture": text_of(content), **body}},
        "JSON as KServe writes bytes": {"json": {"picture": {"b64": text_of(content)}, **body}},
        "a data address": {"json": {"picture": "data:image/png;base64," + text_of(content), **body}},
    }


@pytest.mark.parametrize("way", ways_in())
def test_every_way_in_gives_the_same_answer(way, service, facts):
    answer = service.post("/explain", **ways_in()[way])
    assert answer.status_code == 200
    assert without_seconds(answer.json()) == facts


@pytest.mark.parametrize("way", ["a field of a form", "a field of a plain form", "JSON"])
def test_a_large_picture_as_text_is_taken_as_it_is_as_a_file(way, service):
    """700 kB as base64 are 930 kB: more than Flask takes in a field by default."""
    large = u.noise(700_000)
    answer = service.post("/explain", **ways_in(large)[way])
    assert answer.status_code == 200
    assert without_seconds(answer.json()) == without_seconds(service.explain(large, **ASKED).json())


def test_kserve_explains_and_predicts(service, facts):
    instance = {"picture": {"b64": text_of(u.PHOTOGRAPH)}, "target": 3, "seed": 5, "knobs": KNOBS}
    instances = {"instances": [instance, instance | {"target": 1, "method": "gradient", "knobs": {}}]}
    answer = service.post("/v1/models/tiny:explain", json=instances)
    assert answer.status_code == 200
    assert list(answer.json()) == ["explanations"]
    first, second = answer.json()["explanations"]
    assert without_seconds(first) == facts
    assert second["target"]["index"] == 1
    predicted = service.post("/v1/models/tiny:predict", json=instances).json()["predictions"]
    assert [part["logits"] for part in predicted] == [facts["logits"]] * 2


def test_the_overlay_is_a_picture(service, facts):
    answer = service.explain(accept="image/png", **ASKED)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content == base64.b64decode(facts["overlay"]["png"])
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    assert json.loads(answer.headers["X-Gap"]) == facts["gap"]
    assert answer.headers["X-Model-SHA256"] == facts["model"]["sha256"]


def test_the_archive_holds_the_arrays(service, facts):
    answer = service.explain(accept="application/x-npz", **ASKED)
    assert answer.headers["Content-Type"] == "application/x-npz"
    arrays = np.load(io.BytesIO(answer.content), allow_pickle=False)
    np.testing.assert_array_equal(arrays["map"], read_map(facts))
    np.testing.assert_array_equal(arrays["logits"], np.float32(facts["logits"]))
    np.testing.assert_allclose(arrays["seen"], see()[0].numpy(), atol=1e-7)
    assert json.loads(str(arrays["facts"]))["gap"] == facts["gap"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/*", "image/png"),
        ("image/png;q=0.5, application/json;q=0.4", "image/png"),
        ("application/json;q=0, */*", "image/png"),
        ("text/html, application/x-npz;q=0.1", "application/x-npz"),
    ],
)
def test_the_form_is_the_one_that_is_liked_best(accept, kind, service):
    answer = service.explain(accept=accept, method="gradient")
    assert answer.headers["Content-Type"] == kind


@pytest.mark.parametrize("name", "JPEG WIDE GREY TRANSPARENT PALETTE SIXTEEN_BITS CMYK".split())
def test_every_kind_of_picture_is_read(name, both):
    answers = [service.explain(getattr(u, name), method="gradient") for service in both.values()]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert without_seconds(answers[0].json()) == without_seconds(answers[1].json())


def test_a_picture_at_the_limits_is_taken(service):
    assert service.explain(u.as_many_pixels_as_are_taken(), method="gradient").status_code == 200
    assert service.explain(u.padded(4_990_000), method="gradient").status_code == 200


@pytest.mark.parametrize("make", [u.more_pixels_than_it_says, u.fewer_pixels_than_it_says])
def test_a_header_that_is_not_true_of_the_pixels_is_believed_or_refused(make, both):
    """Pillow decodes what the header says, and no more."""
    answers = [service.explain(make(), method="gradient") for service in both.values()]
    assert answers[0].status_code in (200, 400)
    assert without_seconds(answers[0].json()) == without_seconds(answers[1].json())


@pytest.mark.parametrize("method", xnb.catalog()["method"])
def test_every_method_answers_or_says_why_not(method, both):
    answers = [service.explain(method=method) for service in both.values()]
    first, second = (answer.json() for answer in answers)
    assert without_seconds(first) == without_seconds(second)
    assert answers[0].status_code in (200, 422)
    if answers[0].status_code == 422:
        assert first["error"]["try"]
    else:
        assert np.isfinite(read_map(first)).all()
        assert sum(first["passes"]["method"].values()) <= 600
