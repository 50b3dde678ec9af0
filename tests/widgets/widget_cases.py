"""What the tests of widgets share: a network, data, and one panel of each widget."""

import base64
import functools
import io
import re

import numpy as np
from networks import with_seed
from PIL import Image

from xnb import checkpoints, data
from xnb.models import SmallCNN, ViT, bag_classifier
from xnb.widgets import attention, explore, layers, perturb, side_by_side, watch


@functools.cache
def trained_net():
    return checkpoints.load("smallcnn-shapes")


@functools.cache
def shapes():
    return data.shapes(n=(96, 8), seed=1)


@functools.cache
def small_bags():
    return data.bags("positive_negative", n=(0, 4))


def make_watch(epochs=3):
    model = with_seed(lambda: SmallCNN(3, 6, widths=(4, 4, 8)))
    return watch(model, shapes(), epochs=epochs)


# A panel of each widget by its public name; `attention` is another panel for bags.
PANELS = {
    "explore": lambda: explore(trained_net(), shapes()),
    "side_by_side": lambda: side_by_side(trained_net(), shapes(), ["gradient", "grad_cam"]),
    "perturb": lambda: perturb(trained_net(), shapes()),
    "attention": lambda: attention(with_seed(lambda: ViT(depth=2)), shapes()),
    "attention of bags": lambda: attention(with_seed(bag_classifier), small_bags()),
    "layers": lambda: layers(trained_net(), shapes()),
    "watch": make_watch,
}


def images_in(html):
    """Pictures in a piece of HTML, as arrays."""
    links = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(link)))) for link in links]


def html_of(panel):
    """All areas of a panel, joined."""
    return "".join(area.value for area in panel.areas.values())
