"""`lint` says of each method what `attribute` would do, and what trips other libraries."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer, resnet18

from xnb import METHODS, attribute, lint
from xnb.models import Net, SmallCNN


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Linear(16 * 4, 3)

    def forward(self, x):
        return self.head(self.act(self.act(F.relu(self.conv(x)) + 0.1) - 0.2).flatten(1))


def test_every_method_has_a_verdict_that_attribute_keeps(x, target):
    model = Functional().double().eval()
    table = lint(model, x)
    assert set(table.index) == set(METHODS)
    for name, row in table.iterrows():
        if row["valid"]:
            attribute(model, x, target, name)
        else:
            with pytest.raises(ValueError, match=row["reason"].split()[0]):
                attribute(model, x, target, name)


def test_cautions_name_what_other_libraries_trip_over(x):
    table = lint(Functional().double().eval(), x)
    caution = table.loc["guided_backprop", "caution"]
    assert "in place: act" in caution
    assert "reused module: act" in caution
    assert "functional activation: relu() in the model" in caution
    assert table.loc["gradient", "caution"] == ""


def test_a_transformer():
    vit = VisionTransformer(image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32).eval()
    table = lint(vit, torch.randn(1, 3, 32, 32))
    assert table.loc["integrated_gradients", "valid"]
    assert table.loc[["lrp", "rollout", "chefer"], "valid"].all()
    for name in ("deep_lift", "guided_backprop", "grad_cam", "legrad"):
        assert not table.loc[name, "valid"], name
    assert "fused attention" in table.loc["lrp", "caution"]


def test_torchvisions_residual_network():
    table = lint(resnet18().eval(), torch.randn(1, 3, 64, 64))
    without = {name for name, card in METHODS.cards.items() if card.family == "attention"}
    assert set(table.index[~table["valid"]]) == without, table[~table["valid"]]["reason"].to_dict()
    assert "in place: relu, layer1.0.relu, layer1.1.relu and" in table.loc["lrp", "caution"]


def test_a_table_has_no_layers_and_no_edges():
    table = lint(Net().eval(), torch.randn(2, 10))
    assert table.loc["kernel_shap", "valid"]
    assert {"grad_cam", "occlusion", "edges", "centre"} <= set(table.index[~table["valid"]])


@pytest.mark.usefixtures("as_users_run")
def test_training_mode_integers_and_functions(x):
    table = lint(SmallCNN(), torch.randn(1, 3, 32, 32))
    assert table["valid"].sum() == 5  # the controls, which do not look
    assert "in training mode: SmallCNN, stage1, stage1.0 and" in table.loc["lrp", "caution"]
    whole = lint(SmallCNN().eval(), torch.zeros(1, 3, 32, 32, dtype=torch.long))
    assert "floating point" in whole.loc["gradient", "reason"]
    function = lint(lambda z: z.flatten(1)[:, :3] ** 2, x)
    assert function.loc["integrated_gradients", "valid"]
    assert "nn.Module" in function.loc["grad_cam", "reason"]
