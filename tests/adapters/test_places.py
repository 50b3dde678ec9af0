"""A pixel, a region, a step or a box of an output: logits and maps in closed form."""

import numpy as np
import pytest
import torch
from torch import nn

from xnb import attribute
from xnb.access.score import logits as run
from xnb.adapters import box, pixel, region, step

WEIGHTS = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.25, -1.0]], dtype=torch.double)  # classes x channels


class Segmentation(nn.Module):
    """Each pixel's logits are a linear map of its own channels, so its map is that row of weights at that pixel."""

    def __init__(self, named=False):
        super().__init__()
        self.named = named
        self.eval()

    def forward(self, x):
        maps = torch.einsum("bc...,kc->bk...", x, WEIGHTS)
        return {"out": maps, "aux": -maps} if self.named else maps


def maps_of(x):
    return torch.einsum("bc...,kc->bk...", x, WEIGHTS)


@pytest.mark.parametrize("named", [False, True])
def test_a_pixel_is_explained_by_itself(x, target, named):
    """The gradient of class k at pixel (2, 3) is row k of the weights there, and 0 elsewhere."""
    found = pixel(Segmentation(named), 2, 3)
    torch.testing.assert_close(found(x), maps_of(x)[:, :, 2, 3])
    expected = torch.zeros_like(x)
    expected[:, :, 2, 3] = WEIGHTS[target]
    torch.testing.assert_close(attribute(found, x, target, "gradient"), expected)


@pytest.mark.parametrize(("shape", "place"), [((3, 2, 7), (4,)), ((3, 2, 3, 4, 5), (1, 2, -1))])
def test_a_place_of_a_signal_or_a_volume(shape, place):
    x = torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pixel(Segmentation(), *place)(x), maps_of(x)[:, :, *place])


@pytest.mark.parametrize("place", [(6, 0), (0, -7), (0,), (1, 1, 1)])
def test_a_pixel_lies_in_the_output(x, place):
    with pytest.raises(ValueError, match=r"of sizes \(6, 6\)"):
        run(pixel(Segmentation(), *place), x)


def test_a_region_is_the_mean_of_its_pixels(x, target):
    """With n pixels, the gradient of class k is row k of the weights over n in each of them."""
    mask = torch.zeros(6, 6, dtype=torch.bool)
    mask[1:3, 2:5] = True
    expected = torch.zeros_like(x)
    expected[:, :, mask] = WEIGHTS[target].unsqueeze(2) / 6
    for form in (mask, mask.numpy(), mask.expand(5, 6, 6)):
        found = region(Segmentation(), form)
        torch.testing.assert_close(found(x), maps_of(x)[:, :, mask].mean(2))
        torch.testing.assert_close(attribute(found, x, target, "gradient"), expected)


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "feature_ablation"])
def test_each_input_has_its_own_region(x, target, method):
    """Attributions of a linear model from 0 are x times its gradient, in every order in which a method runs rows."""
    masks = torch.rand(5, 6, 6, generator=torch.Generator().manual_seed(0)) > 0.6
    weights = masks / masks.sum((1, 2), keepdim=True)
    expected = x * WEIGHTS[target][:, :, None, None] * weights[:, None]
    knobs = {"window": 1} if method == "occlusion" else {}
    found = attribute(region(Segmentation(), masks), x, target, method, chunk=3, **knobs)
    torch.testing.assert_close(found.sum(1), expected.sum(1))


def test_a_region_follows_its_model_and_is_no_weight(x):
    found = region(Segmentation(), np.ones((6, 6), dtype=bool))
    assert not found.state_dict()
    assert found.to("meta").head.mask.is_meta


@pytest.mark.parametrize(
    "mask", [torch.ones(6, 6), torch.zeros(6, 6) > 0, torch.ones(2, 6, 6).tril() * torch.eye(2)[0, :, None, None] > 0]
)
def test_a_region_is_true_somewhere(mask):
    with pytest.raises(ValueError, match="region: "):
        region(Segmentation(), mask)


@pytest.mark.parametrize("shape", [(5, 6), (3, 6, 6)])
def test_a_region_has_the_pixels_of_the_output(x, shape):
    with pytest.raises(ValueError, match="mask"):
        run(region(Segmentation(), torch.ones(shape, dtype=torch.bool)), x)


@pytest.mark.parametrize("t", [0, 4, -1])
def test_a_step_of_a_causal_sequence_depends_on_what_came_before(t):
    """Logits are weights times the running sum: the gradient is row k at all steps up to t, and 0 after it."""
    x = torch.randn(3, 6, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2])
    found = step(lambda x: x.cumsum(1) @ WEIGHTS.T, t)
    expected = torch.zeros_like(x)
    expected[:, : (t % 6) + 1] = WEIGHTS[target].unsqueeze(1)
    torch.testing.assert_close(attribute(found, x, target, "gradient"), expected)


@pytest.mark.parametrize("t", [6, -7])
def test_a_step_lies_in_the_sequence(t):
    with pytest.raises(ValueError, match="step: one of 6 steps"):
        run(step(lambda x: x, t), torch.zeros(2, 6, 3))


BOXES = torch.tensor([[0.0, 0, 2, 2], [1, 1, 4, 4], [1, 1, 4, 5], [4, 4, 6, 6]])


def detect(x):
    """Four boxes a picture; the score of box i is the sigmoid of pixel (i, i) of the first channel."""
    labels = torch.tensor([1, 1, 2, 1])
    return [{"boxes": BOXES, "labels": labels, "scores": picture[0].diagonal()[:4].sigmoid()} for picture in x]


@pytest.mark.parametrize(
    ("place", "kind", "chosen"), [((1, 1, 4, 4), 1, 1), ((1, 1, 4, 4), 2, 2), ((5, 5, 9, 9), 1, 3)]
)
def test_a_box_is_the_log_odds_of_its_score(x, place, kind, chosen):
    """The log-odds of sigmoid(pixel) is the pixel: its gradient is 1 there, and 0 elsewhere."""
    found = box(detect, place, kind)
    torch.testing.assert_close(found(x), x[:, 0, chosen, chosen].unsqueeze(1))
    expected = torch.zeros_like(x)
    expected[:, 0, chosen, chosen] = 1
    torch.testing.assert_close(attribute(found, x, 1, "gradient"), expected)


def test_each_picture_has_its_own_box(x):
    places = BOXES[torch.tensor([0, 1, 3, 0, 1])]
    expected = torch.zeros_like(x)
    for i, chosen in enumerate([0, 1, 3, 0, 1]):
        expected[i, 0, chosen, chosen] = x[i, 0, chosen, chosen]
    found = attribute(box(detect, places, 1), x, 1, "integrated_gradients", chunk=2)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("place", "kind"), [((50, 50, 60, 60), 1), ((0, 0, 2, 2), 9)])
def test_a_box_that_is_not_found_counts_as_a_ten_thousandth(x, place, kind):
    """log(0.0001 / 0.9999) = -9.2102, and no pixel explains it."""
    found = box(detect, place, kind)
    torch.testing.assert_close(found(x), torch.full((5, 1), -9.2102404, dtype=torch.double))
    assert not attribute(found, x, 1, "gradient").any()


def test_what_returns_no_boxes_is_refused(x):
    with pytest.raises(ValueError, match="a dict of boxes, labels and scores"):
        run(box(lambda x: x, (0, 0, 1, 1), 1), x)
    with pytest.raises(ValueError, match="four corners"):
        box(detect, (0, 0, 1), 1)


def test_a_detector_of_torchvision(x):
    """The score of its own first box, found again by its place."""
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    with torch.random.fork_rng():
        torch.manual_seed(0)
        detector = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3).eval()
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = detector(pictures)[0]
    found = box(detector, first["boxes"][0], int(first["labels"][0]))
    torch.testing.assert_close(found(pictures)[0].sigmoid(), first["scores"][:1])
    assert attribute(found, pictures, 1, "gradient").abs().sum() > 0
