"""Training that is watched, stopped and looked back on."""

import numpy as np
import pytest
import torch
from widget_cases import make_watch, shapes

import xnb


@pytest.fixture
def panel():
    return make_watch()


def test_training_is_watched_and_looked_back_on(panel):
    assert "Before training" in panel.areas["state"].value
    panel.train()
    assert [epoch.number for epoch in panel.history] == [1, 2, 3]
    assert panel.controls["epoch"].value == panel.controls["epoch"].max == 3
    last = panel.picture
    panel.controls["epoch"].value = 1
    assert not np.array_equal(last, panel.picture)
    assert "Epoch 1 of 3" in panel.areas["state"].value
    assert panel.train_button.disabled
    assert panel.stop_button.disabled


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("wrong", ["x", "split.train", "(x, y)"])
def test_what_is_no_split_is_told_how_to_become_one(wrong):
    x, y = shapes().train.x[:4], shapes().train.y[:4]
    names = {"xnb": xnb, "x": x, "y": y, "net": xnb.models.SmallCNN(3, 2).eval(), "split": shapes()}
    names["split"] = eval(wrong, names)
    with pytest.raises(ValueError, match="watch: data must be a split") as refusal:
        eval("xnb.widgets.watch(net, split)", names)
    exec(str(refusal.value).split("try: ")[1], names)
    assert eval("xnb.widgets.watch(net, split)", names).history == []


@pytest.mark.usefixtures("as_users_run")
def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ValueError, match=r"model must be a torch.nn.Module with parameters(.|\n)*try: model = xnb"):
        xnb.widgets.watch(lambda x: x, shapes())


def test_stopped_training_leaves_a_usable_model_and_goes_on(panel):
    panel.controls["epoch"].observe(lambda change: panel.stop(), "value")
    panel.train()
    assert len(panel.history) == 1
    assert not panel.model.training
    x = shapes().test.x[:1]
    assert xnb.attribute(panel.model, x, torch.tensor([0]), "gradient").isfinite().all()
    panel.controls["epoch"].unobserve_all("value")
    panel.train()
    assert [epoch.number for epoch in panel.history] == [1, 2, 3]


def test_weights_of_an_epoch_can_be_put_back(panel):
    panel.train()
    panel.controls["epoch"].value = 1
    panel.controls["restore"].click()
    restored = panel.model.state_dict()
    first = panel.subjects[1].model.state_dict()
    last = panel.subjects[3].model.state_dict()
    assert all(torch.equal(restored[name], first[name]) for name in restored)
    assert not all(torch.equal(restored[name], last[name]) for name in restored)


def test_training_in_a_thread_ends_with_the_same_weights(panel):
    other = make_watch()
    other.train()
    panel.train_button.click()
    panel.thread.join(60)
    assert len(panel.history) == 3
    ours = panel.model.state_dict()
    theirs = other.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_loss_that_explodes_is_said():
    panel = make_watch(epochs=2)
    panel.knobs["optimizer"] = torch.optim.SGD(panel.model.parameters(), lr=1e30)
    panel.train()
    assert "train: the loss must stay finite" in panel.areas["state"].value
    assert not panel.model.training
    assert not panel.train_button.disabled
