"""Networks of torchvision from files on disk, as torchvision itself loads them; any other file is refused.

Tests: xnb.models.imagenet

The weights are random, stored under the name that a published file would have.
"""

import hashlib
import re

import numpy as np
import pytest
import torch
from torchvision import models
from torchvision.models import Weights, WeightsEnum

from xnb.access.score import logits
from xnb.models import IMAGENET_CLASSES, Preprocess, load_imagenet
from xnb.models.imagenet import HASH_DIGITS, build_classifier

NOWHERE = "http://127.0.0.1:9"  # a port at which nothing answers


def build(name):
    """A network in the form in which torchvision publishes its weights, the same at every call."""
    options = {"googlenet": {"aux_logits": True, "init_weights": False, "transform_input": True}}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.get_model(name, weights=None, **options.get(name, {})).eval()


def store(name, folder, state=None):
    """Weights of torchvision's enum whose file lies in the folder."""
    draft = folder / "draft.pth"
    torch.save(build(name).state_dict() if state is None else state, draft)
    digits = hashlib.sha256(draft.read_bytes()).hexdigest()[:8]
    file = draft.rename(folder / f"{name}-{digits}.pth")
    published = models.get_model_weights(name).DEFAULT
    return WeightsEnum(
        "Own", {"DEFAULT": Weights(f"{NOWHERE}/{file.name}", published.transforms, published.meta)}
    ).DEFAULT


@pytest.fixture(autouse=True)
def empty_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("XNB_WEIGHTS", raising=False)


@pytest.fixture
def folder(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    return own


def test_model_preprocessing_and_classes_come_together(folder):
    weights = store("squeezenet1_1", folder)
    state = torch.random.get_rng_state()
    model, preprocess, classes = load_imagenet("squeezenet1_1", folder, weights=weights)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module.training for module in model.modules())
    assert preprocess == Preprocess.of(weights)
    assert classes == IMAGENET_CLASSES
    picture = np.random.default_rng(0).integers(0, 255, (300, 280, 3), dtype=np.uint8)
    x = preprocess(picture)
    assert x.shape == (1, 3, 224, 224)
    assert torch.equal(logits(model, x), logits(build("squeezenet1_1"), x))


@pytest.mark.parametrize("variable", ["XNB_WEIGHTS", "TORCH_HOME"])
def test_a_file_is_found_in_the_folders_that_variables_name(folder, monkeypatch, variable):
    weights = store("squeezenet1_1", folder)
    place = folder
    if variable == "TORCH_HOME":
        place = folder / "hub" / "checkpoints"
        place.mkdir(parents=True)
        next(folder.glob("*.pth")).rename(place / weights.url.rsplit("/", 1)[1])
    monkeypatch.setenv(variable, str(folder))
    assert len(load_imagenet("squeezenet1_1", weights=weights).classes) == 1000


def as_older_files_name_them(state):
    """The state of a DenseNet from before norms counted batches, when names had dots."""
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): tensor for name, tensor in old.items()}


@pytest.mark.parametrize("name", ["densenet121", "googlenet", "mnasnet0_5"])
def test_it_is_the_network_that_torchvision_loads(name, folder, monkeypatch):
    """torchvision asks its own file names, and does not compare the sum of a file that lies in its cache."""
    state = build(name).state_dict()
    state = as_older_files_name_them(state) if name == "densenet121" else state
    weights = store(name, folder, state)
    model = load_imagenet(name, folder, weights=weights).model
    checkpoints = folder / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    published = models.get_model_weights(name).DEFAULT
    torch.save(state, checkpoints / published.url.rsplit("/", 1)[1])
    monkeypatch.setenv("TORCH_HOME", str(folder))
    theirs = models.get_model(name, weights=published).eval()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(logits(model, x), logits(theirs, x))
    assert model.state_dict().keys() == theirs.state_dict().keys()


def test_another_file_is_refused(folder):
    weights = store("squeezenet1_1", folder)
    file = next(folder.glob("*.pth"))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"the SHA-256 sum of squeezenet1_1-.* must begin with"):
        load_imagenet("squeezenet1_1", folder, weights=weights)


def test_code_in_a_file_is_not_run(folder):
    weights = store("squeezenet1_1", folder, build("squeezenet1_1"))  # a whole module: a pickle of classes
    with pytest.raises(Exception, match="Weights only load failed"):
        load_imagenet("squeezenet1_1", folder, weights=weights)


def test_weights_of_another_network_are_refused(folder):
    weights = store("squeezenet1_1", folder)
    with pytest.raises(ValueError, match="load_imagenet: the weights must be those of squeezenet1_0"):
        load_imagenet("squeezenet1_0", folder, weights=weights)


def test_without_file_and_network_one_refusal_says_what_to_do(folder):
    weights = store("squeezenet1_1", folder)
    next(folder.glob("*.pth")).unlink()
    with pytest.raises(ConnectionError, match="in no folder that was asked") as refusal:
        load_imagenet("squeezenet1_1", folder, weights=weights)
    rule, got, hint = str(refusal.value).split("\n")
    assert NOWHERE in rule
    assert got.startswith("  got: ")
    assert "folder=" in hint


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: load_imagenet("resnet5"), "no classifier of that name in torchvision"),
        (lambda: load_imagenet("fcn_resnet50"), "no classifier of that name"),
        (lambda: load_imagenet("resnet50", weights="V3"), "no weights of that name for resnet50"),
    ],
)
def test_unknown_names_are_refused(call, rule):
    with pytest.raises(ValueError, match=rf"load_imagenet: {rule}.*\n  got: .*\n  try: one of \["):
        call()


def test_features_without_a_head_are_refused():
    with pytest.raises(ValueError, match=r"must be those of a classifier.*\n  got: 'IMAGENET1K_FEATURES'"):
        load_imagenet("vgg16", weights="IMAGENET1K_FEATURES")


def list_published():
    names = models.list_models(module=models)
    return [(name, weights) for name in names for weights in models.get_model_weights(name)]


def test_every_published_file_is_named_by_its_sum_and_has_preprocessing_and_classes():
    for _, weights in list_published():
        assert len(HASH_DIGITS.search(weights.url.rsplit("/", 1)[1])[1]) >= 8
        assert Preprocess.of(weights).crop > 100
        assert len(weights.meta["categories"] or ()) in {1000, 0}


@pytest.mark.parametrize("name", ["vit_b_16", "inception_v3", "maxvit_t", "resnet50"])
def test_networks_take_pictures_of_the_size_of_their_preprocessing(name):
    """Built without memory: shapes alone."""
    for weights in models.get_model_weights(name):
        with torch.device("meta"):
            network = build_classifier(name, weights).eval()
            side = Preprocess.of(weights).crop
            assert network(torch.empty(1, 3, side, side)).shape == (1, 1000)
