"""Published networks of CIFAR-10: parameters and accuracy as published, files checked, tensors filled in order.

Tests: xnb.models.published, xnb.models.published_files, xnb.models.cifar_residual, xnb.models.cifar_joining,
xnb.models.cifar_lenet
"""

import hashlib
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch

from xnb import attribute, folders, prepare
from xnb.access.score import logits
from xnb.models import PUBLISHED, load_published
from xnb.models.cifar_residual import PadShortcut
from xnb.models.layers import Add
from xnb.models.published import fill_in_order
from xnb.models.published_files import Source, find_checked_file, list_places
from xnb.summary import count_parameters

SHARED = folders.ROOT.parent / "shared" / "data"
PICTURES = "cifar10/cifar10_exact_test1017.npz"
# As their authors count them.
PARAMETERS = {
    "akamaster-resnet20": 269_722,
    "akamaster-resnet32": 464_154,
    "akamaster-resnet44": 658_586,
    "akamaster-resnet56": 853_018,
    "uvadlc-resnet": 272_378,
    "uvadlc-preact": 272_250,
    "uvadlc-googlenet": 260_650,
    "uvadlc-densenet": 239_146,
    "captum-lenet": 62_006,
}


def make(name):
    return PUBLISHED[name].make().eval()


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_have_the_published_number_of_parameters(name):
    network = make(name)
    assert count_parameters(network) == PARAMETERS[name]
    assert logits(network, torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_the_table_of_the_docstring_is_that_of_the_code():
    for name, network in PUBLISHED.items():
        row = f"{name:<20}{PARAMETERS[name]:>10,}  {network.exact:.2f}  {network.jpeg:.2f}"
        assert row in load_published.__doc__


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_operation_is_a_module_that_is_used_once(name):
    network = make(name)
    calls = []
    leaves = [module for module in network.modules() if not list(module.children())]
    for module in leaves:
        module.register_forward_hook(lambda module, args, out: calls.append(module))
    network(torch.rand(1, 3, 32, 32))
    assert len(calls) == len(set(calls)) == len(leaves)


def test_joins_are_modules():
    assert sum(isinstance(module, Add) for module in make("akamaster-resnet20").modules()) == 9


def test_a_padded_shortcut_keeps_every_second_pixel():
    x = torch.rand(1, 4, 6, 6)
    y = PadShortcut(4, 8)(x)
    torch.testing.assert_close(y[:, 2:6], x[:, :, ::2, ::2])
    assert (y[:, :2] == 0).all()
    assert (y[:, 6:] == 0).all()


def test_tensors_are_filled_in_order_whatever_their_names():
    first = make("akamaster-resnet20")
    second = make("akamaster-resnet20")
    state = {f"module.{n}": tensor for n, tensor in enumerate(first.state_dict().values()) if tensor.ndim}
    fill_in_order(second, state)
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(logits(second, x), logits(first, x))


def test_weights_of_another_network_are_refused():
    lenet = make("captum-lenet")
    with pytest.raises(ValueError, match=r"must have the shapes of Sequential\n  got: 'conv1.weight"):
        fill_in_order(lenet, {"weight": torch.ones(3)})
    state = dict(list(lenet.state_dict().items())[:-1])
    with pytest.raises(ValueError, match="10 tensors, 9 published"):
        fill_in_order(lenet, state)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A LeNet of random weights in the place of the published one, its state, and an empty cache."""
    network = make("captum-lenet")
    file = tmp_path / "mine" / "cifar_torchvision.pt"
    file.parent.mkdir()
    torch.save({"state_dict": network.state_dict()}, file)
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    entry = PUBLISHED["captum-lenet"]
    project = entry.project._replace(url="http://127.0.0.1:9")  # a port at which nothing answers
    monkeypatch.setitem(PUBLISHED, "captum-lenet", entry._replace(sha256=checksum, project=project))
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XNB_PUBLISHED", raising=False)
    return network, file


def test_a_network_is_loaded_from_a_folder_with_its_normalisation(own):
    network, file = own
    state = torch.random.get_rng_state()
    model = load_published("captum-lenet", file.parent)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module.training for module in model.modules())
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(logits(model, x), logits(network, (x - 0.5) / 0.5))
    assert attribute(model, x, 3, "gradient").shape == x.shape


@pytest.mark.parametrize("variable", ["XNB_PUBLISHED", "XNB_CACHE"])
def test_a_file_is_found_below_the_folders_that_variables_name(own, monkeypatch, variable):
    network, file = own
    folder = file.parents[1] / "elsewhere"
    monkeypatch.setenv(variable, str(folder))
    place = (folder / "published" if variable == "XNB_CACHE" else folder) / PUBLISHED["captum-lenet"].file
    place.parent.mkdir(parents=True)
    file.rename(place)
    assert place in list_places(PUBLISHED["captum-lenet"].file)
    weights = load_published("captum-lenet").network.state_dict()
    torch.testing.assert_close(dict(weights), dict(network.state_dict()), rtol=0, atol=0)


def test_another_file_is_refused(own):
    _, file = own
    file.write_bytes(b"other")
    with pytest.raises(ValueError, match=r"sum of cifar_torchvision.pt must begin with .*\n  got: .*\n  try: remove"):
        load_published("captum-lenet", file.parent)


def test_without_file_and_network_one_refusal_says_what_to_do(own, tmp_path):
    with pytest.raises(ConnectionError, match=r"in no folder that was asked") as refusal:
        load_published("captum-lenet", tmp_path)
    rule, got, hint = str(refusal.value).split("\n")
    assert "cannot be reached" in rule
    assert got.startswith("  got: ")
    assert "cifar_torchvision.pt, from github.com/pytorch/captum" in hint
    assert not (tmp_path / "cifar_torchvision.pt").exists()


def test_an_unknown_name_is_refused():
    with pytest.raises(
        ValueError, match=r"no published network of that name\n.*\n  try: one of \['akamaster-resnet20'"
    ):
        load_published("resnet20")


def test_the_first_file_counts(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    checksum = hashlib.sha256(b"b").hexdigest()[:8]
    places = [tmp_path / "none", tmp_path / "b", tmp_path / "a"]
    assert find_checked_file(places, checksum) == tmp_path / "b"
    assert find_checked_file(places[:1], checksum) is None


def test_every_file_says_what_it_is():
    for entry in PUBLISHED.values():
        assert isinstance(entry.source, Source)
        assert len(entry.sha256) == 64
        assert entry.source.url.startswith("https://")
        assert entry.source.url.endswith(entry.name)


@pytest.fixture(scope="module")
def exact_pictures():
    file = SHARED / PICTURES
    if not file.is_file():
        pytest.skip("needs the exact test pictures of CIFAR-10 and the published weights in ../shared/data")
    with np.load(file) as arrays:
        x = torch.from_numpy(arrays["x_test"]).permute(0, 3, 1, 2).float() / 255
        return x, torch.from_numpy(arrays["y_test"].astype(np.int64))


@pytest.mark.parametrize("name", PUBLISHED)
def test_accuracy_is_what_is_documented(name, exact_pictures, monkeypatch):
    """Within two standard errors of 1,017 pictures."""
    monkeypatch.setenv("XNB_PUBLISHED", str(SHARED))
    entry = PUBLISHED[name]
    if not Path(SHARED, entry.file).is_file():
        pytest.skip(f"needs {entry.file} in ../shared/data")
    x, truth = exact_pictures
    share = entry.exact / 100
    error = sqrt(share * (1 - share) / len(x))
    model = prepare(load_published(name), x[:1])  # the same function, sooner
    accuracy = float((logits(model, x, chunk=64).argmax(1) == truth).double().mean())
    assert accuracy == pytest.approx(share, abs=2 * error)
