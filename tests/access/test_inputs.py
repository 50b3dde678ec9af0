"""What is handed over as x becomes a plain tensor, or is refused with the line that makes one of it.

Every `try:` line is run here: it must lead to what the tensor itself gives.
"""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import tv_tensors

import xnb

# As in a notebook: without the shape checks, which would speak before the package does.
pytestmark = pytest.mark.usefixtures("as_users_run")


@pytest.fixture
def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()


@pytest.fixture
def pictures():
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class WithTable(nn.Module):
    """A picture's features times a weight that comes with it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, weight):
        return self.net(x) * weight


def follow_the_hint(ask, names):
    """Run the `try:` line of the refusal that `ask` ends in, and return what the names stand for then."""
    with pytest.raises(ValueError, match="try: ") as caught:
        ask()
    line = str(caught.value).split("try: ")[1]
    exec(line, {"torch": torch, "xnb": xnb}, names)
    return names


@pytest.mark.parametrize(
    "hand_over",
    [
        lambda x: x.double().numpy(),
        lambda x: x.tolist(),
        lambda x: list(x),
        lambda x: tuple(x),
        lambda x: [x],
        lambda x: (x, torch.tensor([0, 1])),
        lambda x: x.double(),
        lambda x: x.half(),
        lambda x: x.double().requires_grad_(),
    ],
    ids=["array", "numbers", "list", "tuple", "one in a list", "batch of a loader", "float64", "float16", "with grad"],
)
def test_the_line_leads_to_the_answer(hand_over, net, pictures):
    names = {"x": hand_over(pictures)}
    follow_the_hint(lambda: xnb.attribute(net, names["x"], [0, 1], "gradient"), names)
    expected = xnb.attribute(net, pictures, [0, 1], "gradient")
    torch.testing.assert_close(xnb.attribute(net, names["x"], [0, 1], "gradient"), expected, rtol=1e-2, atol=1e-4)


def test_a_picture_of_pil(net):
    picture = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    names = follow_the_hint(lambda: xnb.attribute(net, picture, 0, "gradient"), {"x": picture})
    assert names["x"].shape == (1, 3, 8, 8)
    assert xnb.attribute(net, names["x"], 0, "gradient").shape == (1, 3, 8, 8)


def test_two_inputs_name_the_adapter_and_the_second_inputs_own_name(net, pictures):
    x = (pictures, torch.ones(2, 1))
    with pytest.raises(ValueError, match=r"try: model, x = xnb.adapters.with_inputs\(model, weight=x\[1\]\), x\[0\]"):
        xnb.attribute(WithTable(net).eval(), x, 0, "gradient")


def test_ids_of_a_tokeniser_name_the_adapter(net):
    ids = {"input_ids": torch.ones(1, 3, dtype=torch.long), "attention_mask": torch.ones(1, 3)}
    line = r'try: model, x = xnb.adapters.embed_tokens\(model, x\["input_ids"\], x\["attention_mask"\]\)'
    with pytest.raises(ValueError, match=line):
        xnb.attribute(net, ids, 0, "gradient")


def test_weights_elsewhere_are_named(net, pictures):
    with pytest.raises(
        ValueError, match=r"must be where the model's weights are, on meta\n  got: .*cpu.*\n  try: model.to_empty"
    ):
        xnb.attribute(net.to("meta"), pictures, 0, "gradient")


def test_a_model_that_casts_by_itself_is_not_refused(net, pictures):
    """The dtype of the weights is no rule: only a pass that failed is explained by it."""

    def cast(x):
        return net(x.float()).to(x.dtype)

    expected = xnb.attribute(net, pictures, 0, "gradient").double()
    torch.testing.assert_close(xnb.attribute(cast, pictures.double(), 0, "gradient"), expected)


@pytest.mark.parametrize("method", ["gradient", "baseline_distance", "occlusion", "lrp", "random"])
@pytest.mark.parametrize("kind", [tv_tensors.Image, nn.Parameter, lambda x: x.clone().requires_grad_() * 1])
def test_other_kinds_of_tensors_are_read_as_plain_ones(kind, method, net, pictures):
    x = kind(pictures)
    a = xnb.attribute(net, x, 0, method)
    assert type(a) is torch.Tensor
    assert not a.requires_grad
    assert torch.equal(a, xnb.attribute(net, pictures, 0, method))


@pytest.mark.parametrize("x", [torch.tensor(1.0), None, "picture.png", torch.full((1, 3, 8, 8), torch.nan)])
def test_what_is_no_batch_is_refused_in_own_words(x, net):
    with pytest.raises(ValueError, match=r"^attribute: x must be .*\n  got: .*\n  try: (x = |a tensor|from )"):
        xnb.attribute(net, x, 0, "gradient")


@pytest.mark.parametrize("model", [None, {"weight": torch.ones(1)}, "model.pt"])
def test_what_cannot_be_called_is_no_model(model, pictures):
    for door in (lambda: xnb.attribute(model, pictures, 0), lambda: xnb.lint(model, pictures)):
        with pytest.raises(ValueError, match=r"^(attribute|lint): model must be a module, or a function"):
            door()
