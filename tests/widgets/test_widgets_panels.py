"""The other widgets without a browser: their pure functions, and each control moved from code."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import xnb
from xnb import checkpoints, data
from xnb.access.hooks import captured_attention
from xnb.models import SmallCNN, ViT, bag_classifier
from xnb.widgets import anatomy, attention, layers, perturb, pixels, side_by_side, watch
from xnb.widgets.attention_rows import Gaze, Weights, captured, named, read
from xnb.widgets.bags import evidence
from xnb.widgets.explained import subject
from xnb.widgets.methods_view import OWN, RAW, SHARES, ends
from xnb.widgets.perturbation import PAINT, Hiding, changed, corner, hidden, said


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


@pytest.fixture(scope="module")
def net():
    return checkpoints.load("smallcnn-shapes")


@pytest.fixture(scope="module")
def split():
    return data.shapes(n=(96, 6), seed=1)


@pytest.fixture(scope="module")
def bags():
    return data.bags("positive_negative", n=(0, 4))


@pytest.fixture(scope="module")
def panels(net, split, bags):
    return {
        "side_by_side": side_by_side(net, split, ["gradient", "grad_cam"]),
        "perturb": perturb(net, split),
        "attention": attention(seeded(lambda: ViT(depth=2)), split),
        "bags": attention(seeded(bag_classifier), bags),
        "layers": layers(net, split),
    }


MOVES = [
    ("perturb", "picture", 3),
    ("perturb", "row", 0),
    ("perturb", "column", 20),
    ("perturb", "size", 20),
    ("perturb", "fill", "zero"),
    ("attention", "picture", 3),
    ("attention", "layer", 0),
    ("attention", "head", 2),
    ("attention", "query", 9),
    ("attention", "depth", 2),
    ("bags", "bag", 2),
    ("bags", "target", 1),
    ("bags", "method", "raw_attention"),
    ("bags", "order", "place in the bag"),
    ("layers", "picture", 2),
    ("layers", "layer", "stage2.0.0"),
]


@pytest.mark.parametrize(("panel", "name", "value"), MOVES, ids=[f"{panel}-{name}" for panel, name, _ in MOVES])
def test_each_control_changes_the_picture_and_back(panels, panel, name, value):
    shown = panels[panel]
    control, before = shown.controls[name], shown.picture
    was = control.value
    control.value = was ^ 1 if (panel, name) == ("bags", "target") else value
    changed, pages = shown.picture, "".join(page.value for page in shown.pages.values())
    control.value = was
    assert changed.shape != before.shape or not np.array_equal(changed, before)
    assert 'role="alert"' not in pages
    np.testing.assert_array_equal(shown.picture, before)


@pytest.mark.parametrize("name", ["side_by_side", "perturb", "attention", "bags", "layers"])
def test_where_nothing_moves_a_picture_stands(panels, name):
    bundle = panels[name]._repr_mimebundle_()
    assert bundle["text/plain"].startswith("attention" if name == "bags" else name)
    shot = np.asarray(Image.open(io.BytesIO(bundle["image/png"])).convert("L"), dtype=float)
    assert shot.std() > 5
    assert panels[name]._repr_mimebundle_()["image/png"] == bundle["image/png"]


def test_shares_make_a_map_in_another_unit_look_the_same():
    heat = np.random.default_rng(0).normal(size=(8, 8))
    maps = {"a": heat, "b": 1000 * heat}
    shares, own, raw = (ends(maps, scale) for scale in (SHARES, OWN, RAW))
    assert shares["b"] == pytest.approx(1000 * shares["a"])
    assert own["a"] == np.abs(heat).max()
    assert raw["a"] == raw["b"] == pytest.approx(1000 * own["a"])
    assert ends({"a": np.zeros((2, 2))}, SHARES)["a"] > 0


def test_methods_stand_beside_controls_and_pins_stay(panels):
    shown = panels["side_by_side"]
    assert shown.methods == ["gradient", "grad_cam", "edges", "random"]
    shown.pin("grad_cam")
    pinned = shown.pages["pinned"].value
    shown.controls["picture"].value = 2
    assert shown.pages["pinned"].value == pinned
    assert "input 0" in pinned
    assert "input 2" in shown.pages["grad_cam"].value
    shown.controls["picture"].value = 0
    shown.pin("grad_cam")
    assert "<img" not in shown.pages["pinned"].value


def test_methods_are_added_and_dropped(panels):
    shown = panels["side_by_side"]
    shown.controls["add"].value = "lrp"
    assert shown.methods[-1] == "lrp"
    assert len(shown.board.children) == 5
    assert "lrp" in shown.pages["lrp"].value
    shown.controls["add"].value = "gradient"  # is there already
    assert len(shown.board.children) == 5
    drop = shown.board.children[-1].children[1].children[1]
    drop.click()
    assert "lrp" not in shown.methods
    for name in [*shown.methods]:
        shown.drop(name)
    assert shown.board.children == ()
    assert 'role="alert"' not in shown.pages["view"].value


def test_what_is_hidden_is_replaced_and_nothing_else(net, split):
    shown = subject(net, split)
    hiding = Hiding(picture=1, row=4, column=30, size=8, fill="zero", painted=frozenset({(7, 0)}))
    mask = hidden(shown, hiding)
    assert mask.sum() == 8 * 2 + 4 * 4  # the patch is cut off at the border
    assert mask[4:12, 30:].all()
    assert mask[28:, :4].all()
    x = changed(shown, hiding)
    assert (x[0, :, mask] == 0).all()
    torch.testing.assert_close(x[0, :, ~mask], shown.x[1][:, ~mask])
    before, after = said(shown, hiding)
    np.testing.assert_allclose(after, net(x).softmax(1)[0].detach(), rtol=1e-4)
    assert np.array_equal(*said(shown, Hiding(size=0))) or np.allclose(*said(shown, Hiding(size=0)), atol=1e-6)
    assert before.sum() == pytest.approx(1)


def test_the_patch_begins_on_the_evidence(net, split):
    shown = subject(net, split)
    row, column = corner(shown, 2, 8)
    assert shown.masks[2, 0, row : row + 8, column : column + 8].float().mean() > 0.5
    assert corner(subject(net, split.test.x), 2, 8) == (11, 11)


def test_a_click_moves_the_patch_or_paints(panels):
    shown = panels["perturb"]
    shown.board.squares[0].click()
    assert (shown.hiding.row, shown.hiding.column) == (0, 0)
    shown.controls["mode"].value = PAINT
    shown.board.squares[9].click()
    assert shown.hiding.painted == {(1, 1)}
    shown.board.squares[9].click()
    shown.board.squares[10].click()
    assert shown.hiding.painted == {(1, 2)}
    shown.controls["clear"].click()
    assert shown.hiding.painted == frozenset()
    shown.controls["mode"].value = "moves the patch"


@pytest.mark.usefixtures("as_users_run")
def test_only_pictures_can_be_hidden_and_walked_through(split):
    table = nn.Linear(3, 2).eval()
    for widget in (perturb, layers):
        with pytest.raises(ValueError, match="inputs must be pictures"):
            widget(table, torch.randn(4, 3))


def test_rows_of_attention_are_those_of_the_model(split):
    vit = seeded(lambda: ViT(depth=3))
    seen = captured(subject(vit, split), 1)
    with captured_attention(vit) as found, torch.no_grad():
        vit(split.test.x[1:2])
    first, second, third = (one.weights[0].detach().mean(0).numpy() for one in found)
    np.testing.assert_allclose(read(seen, Gaze(layer=1, query=5)), second[5], rtol=1e-5)
    np.testing.assert_allclose(
        read(seen, Gaze(layer=0, query=5, head=3)), found[0].weights[0, 3, 5].detach().numpy(), rtol=1e-5
    )
    half = [(one + np.eye(65)) / 2 for one in (first, second, third)]
    np.testing.assert_allclose(read(seen, Gaze(query=7, depth=3)), (half[2] @ half[1] @ half[0])[7], rtol=1e-4)
    np.testing.assert_allclose(read(seen, Gaze(layer=1, query=7, depth=3)), (half[1] @ half[0])[7], rtol=1e-4)
    assert read(seen, Gaze(query=0, depth=3)).sum() == pytest.approx(1, rel=1e-4)


def test_rollout_of_all_layers_is_that_of_the_catalogue(split):
    vit = seeded(lambda: ViT(depth=2))
    row = read(captured(subject(vit, split), 0), Gaze(depth=2, query=0))
    theirs = xnb.attribute(vit, split.test.x[:1], torch.tensor([0]), "rollout")
    np.testing.assert_allclose(row[1:].reshape(8, 8), theirs[0, 0, ::4, ::4] * 1, rtol=1e-4)


def test_tokens_have_names():
    assert named(0, 65) == "the class token"
    assert named(1, 65) == "row 1, column 1"
    assert named(64, 65) == "row 8, column 8"
    assert named(2, 67) == "register 2"
    assert named(0, 64) == "row 1, column 1"


def test_a_pooling_is_read_too():
    weights = np.full((1, 1, 4), 0.25)
    np.testing.assert_array_equal(read([Weights("pool", weights)], Gaze(query=3, depth=1)), weights[0, 0])


def test_a_click_asks_a_patch(panels):
    shown = panels["attention"]
    shown.board.squares[8 + 2].click()
    assert shown.gaze.query == 1 + 8 + 2
    assert "row 2, column 3" in shown.board.page.value
    shown.controls["query"].value = 0


def test_a_model_without_attention_is_refused(net, split):
    with pytest.raises(ValueError, match="attention: no attention was seen"):
        attention(net, split)


def test_evidence_of_instances_is_the_methods(bags):
    net = seeded(bag_classifier)
    values = evidence(subject(net, bags), 1, 0, "leave_one_out")
    x = bags.test.x[1:2]
    theirs = xnb.attribute(net, x, torch.tensor([0]), "leave_one_out").flatten(2).sum(2)[0]
    np.testing.assert_allclose(values, theirs, rtol=1e-4)


def test_instances_stand_in_the_order_of_their_evidence(panels):
    shown = panels["bags"]
    values = evidence(shown.subject, *shown.asked())
    assert (np.diff(values[shown.rows(values)]) <= 0).all()
    assert "in truth" in shown.pages["view"].value


def test_filters_of_colour_and_of_many_channels(net):
    colours = anatomy.filters(net, "stage1.0.0")
    assert colours.shape[0] >= 200
    strongest = anatomy.filters(net, "stage2.0.0")
    assert strongest is not None
    assert anatomy.filters(net, "stage1.0.2") is None


def test_maps_show_every_channel_on_one_scale():
    values = torch.zeros(4, 2, 2)
    values[3] = 2.0
    sheet = anatomy.maps(values)
    red = (sheet == pixels.signed([1.0], 1.0)[0]).all(2).mean()
    assert 0.1 < red < 0.25


def test_a_layer_sees_what_it_must(net, split):
    shown = subject(net, split)
    assert anatomy.sees(shown, "stage1.0.0") == (3, 3)
    assert anatomy.sees(shown, "stage1.1.add") == (7, 7)
    values = torch.zeros(1, 32, 32)
    values[0, 10, 20] = 1
    rgb = anatomy.field(shown, 0, values, (3, 3))
    line = (rgb == pixels.YELLOW).all(2)
    rows, columns = np.nonzero(line)
    assert (rows.min() // 8, columns.min() // 8) == (8, 18)
    assert anatomy.window(1.0, 7, 32) == slice(0, 5)


def test_every_row_of_the_table_can_be_looked_at(panels):
    shown = panels["layers"]
    for name in ("stage3.1.relu2", "pool", "flatten", "head"):
        shown.controls["layer"].value = name
        assert 'role="alert"' not in "".join(page.value for page in shown.pages.values()), name
        assert (shown.pages["says"].value == "") == (name != "stage3.1.relu2")
    shown.controls["layer"].value = "stage1.0.0"
    with pytest.raises(ValueError, match="layers: no row of that name"):
        layers(shown.subject.model, shown.subject.x, layer="stage9")


@pytest.fixture
def watched(split):
    return watch(seeded(lambda: SmallCNN(3, 6, widths=(4, 4, 8))), split, count=3)


def test_training_is_watched_and_looked_back_on(watched, split):
    assert "Before training" in watched.pages["state"].value
    watched.train()
    assert [epoch.number for epoch in watched.history] == [1, 2, 3]
    assert watched.controls["epoch"].value == watched.controls["epoch"].max == 3
    last = watched.picture
    watched.controls["epoch"].value = 1
    assert not np.array_equal(last, watched.picture)
    assert "Epoch 1 of 3" in watched.pages["state"].value
    assert watched.run.disabled
    assert watched.stop.disabled


def test_stopped_training_leaves_a_usable_model_and_goes_on(watched, split):
    watched.controls["epoch"].observe(lambda change: watched.halt(), "value")
    watched.train()
    assert len(watched.history) == 1
    assert not watched.model.training
    assert xnb.attribute(watched.model, split.test.x[:1], torch.tensor([0]), "gradient").isfinite().all()
    watched.controls["epoch"].unobserve_all("value")
    watched.train()
    assert [epoch.number for epoch in watched.history] == [1, 2, 3]


def test_weights_of_an_epoch_can_be_put_back(watched):
    watched.train()
    watched.controls["epoch"].value = 1
    watched.controls["restore"].click()
    ours, kept = watched.model.state_dict(), watched.shown[1].model.state_dict()
    assert all(torch.equal(ours[name], kept[name]) for name in ours)
    assert not all(torch.equal(ours[name], value) for name, value in watched.shown[3].model.state_dict().items())


def test_training_in_a_thread_ends_with_the_same_weights(watched, split):
    other = watch(seeded(lambda: SmallCNN(3, 6, widths=(4, 4, 8))), split, count=3)
    other.train()
    watched.run.click()
    watched.thread.join(60)
    assert len(watched.history) == 3
    ours, theirs = watched.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_loss_that_explodes_is_said(split):
    wild = watch(seeded(lambda: SmallCNN(3, 6, widths=(4, 4, 8))), split, count=2)
    wild.knobs["optimizer"] = torch.optim.SGD(wild.model.parameters(), lr=1e30)
    wild.train()
    assert "train: the loss must stay finite" in wild.pages["state"].value
    assert not wild.model.training
    assert not wild.run.disabled
