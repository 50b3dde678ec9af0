"""Pictures are shown in their own colours, or refused with the line that gives them."""

import pytest
import torch
from widget_cases import shapes, trained_net

from xnb.models.preprocess import FASTNET, IMAGENET
from xnb.widgets import explore, perturb
from xnb.widgets.colours import check_colours, normalise_colours, restore_colours, to_picture


def test_normalisation_is_taken_back_and_put_on():
    x = torch.rand(2, 3, 4, 4)
    normalised = (x - torch.tensor(IMAGENET.mean).view(3, 1, 1)) / torch.tensor(IMAGENET.std).view(3, 1, 1)
    torch.testing.assert_close(restore_colours(normalised, IMAGENET.mean, IMAGENET.std), x)
    torch.testing.assert_close(normalise_colours(x, IMAGENET.mean, IMAGENET.std), normalised)
    torch.testing.assert_close(restore_colours(normalised[0], IMAGENET.mean, IMAGENET.std), x[0])
    torch.testing.assert_close(normalise_colours(x, 0.5, 0.25), (x - 0.5) / 0.25)


def test_what_resizing_pushed_out_is_no_other_colour():
    check_colours(torch.tensor([-0.09, 1.09]).view(1, 1, 1, 2), 0.0, 1.0)


@pytest.mark.parametrize(
    ("low", "high", "hint"),
    [
        (0.0, 255.0, r"explore\(model, x / 255\)"),
        (-2.1, 2.6, "normalise"),
        (0.0, 2.6, "normalise"),
        (-1, 1, "normalise"),
    ],
)
def test_pictures_outside_their_range_are_refused_with_the_way_out(low, high, hint):
    x = torch.full((2, 3, 4, 4), 0.5)
    x[1, 0, 0, :2] = torch.tensor([low, high])
    with pytest.raises(ValueError, match=rf"pictures lie in \[0, 1\]\n  got: 'from .* to .*'\n  try: .*{hint}"):
        check_colours(x, 0.0, 1.0)


def test_a_mean_for_another_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="one for each of 1 channels"):
        restore_colours(torch.zeros(1, 1, 2, 2), (0.1, 0.2, 0.3), 1.0)


def test_pictures_without_colours_of_their_own_are_shown_in_grey():
    """The mean over five channels, from its smallest value, black, to its largest, white."""
    check_colours(torch.full((1, 5, 2, 2), 90.0), 0.0, 1.0)
    x = torch.tensor([0.0, 10.0, 20.0]).expand(5, 1, 3)
    torch.testing.assert_close(to_picture(x), torch.tensor([[[0, 0.5, 1]]]))
    assert to_picture(torch.full((5, 1, 2), 3.0)).tolist() == [[[0, 0]]]


def test_every_widget_of_pictures_refuses_wrong_colours():
    with pytest.raises(ValueError, match=r"pictures lie in \[0, 1\]"):
        perturb(trained_net(), shapes().test.x * 4 - 2)


def test_a_normalised_picture_is_shown_as_it_was_and_explained_as_it_is():
    pictures = shapes().test.x
    net = trained_net()
    x = (pictures - 127 / 255) / (128 / 255)
    model = lambda x: net(x * (128 / 255) + 127 / 255)  # noqa: E731
    panel = explore(model, x, methods=["gradient"], mean=FASTNET.mean, std=FASTNET.std, upload=True)
    torch.testing.assert_close(panel.subject.shown_picture(3), pictures[3])
    assert "* torch.tensor((0.50" not in panel.areas["code"].value
    panel.controls["opacity"].value = 0.5
    assert "* torch.tensor((0.50" in panel.areas["code"].value
    more = panel.subject.add_upload(pictures[2:3])
    torch.testing.assert_close(more.x[-1:], x[2:3])
