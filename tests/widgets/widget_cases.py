"""What the tests of widgets share: a network, data, and one panel of each widget."""

import base64
import functools
import io
import re
from datetime import date

import numpy as np
import pandas as pd
from networks import with_seed
from PIL import Image

import xnb
from xnb import checkpoints, data
from xnb.comparison.claims import Bar, Claim
from xnb.models import SmallCNN, ViT, bag_classifier
from xnb.widgets import attention, explore, judge, layers, perturb, records, rows, side_by_side, watch


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


def make_rows():
    part = shapes().test
    maps = {name: xnb.attribute(trained_net(), part.x, part.y, name) for name in ("gradient", "occlusion")}
    return rows(pd.DataFrame({"srg": [0.5, 1], "road": [0, 0.2]}, ["gradient", "occlusion"]), maps, part)


def make_claims():
    """Two claims, one on each side of its bar."""
    rest = {"sentence": "A sentence.", "source": "a source", "setup": "none", "differs": "nothing"}
    bars = {side: (Bar(date(2026, 1, 1), value, "a reason"),) for side, value in (("above", 0.5), ("below", 0.1))}
    return {side: Claim(side, side=side, bars=bars[side], **rest) for side in bars}


def make_values():
    """Values by training and input, around 0.7, of eight and of four trainings."""
    rng = np.random.default_rng(0)
    return {side: 0.7 + 0.1 * rng.standard_normal((count, 20)) for side, count in (("above", 8), ("below", 4))}


def make_records():
    models = {name: checkpoints.load(f"{kind}-patients-0") for name, kind in (("logistic", "logistic"), ("MLP", "mlp"))}
    patients = data.patients()
    few = data.Split(patients.train, patients.test[:6], patients.classes, patients.features)
    return records(models, few)


# A panel of each widget by its public name; `attention` is another panel for bags.
PANELS = {
    "explore": lambda: explore(trained_net(), shapes()),
    "side_by_side": lambda: side_by_side(trained_net(), shapes(), ["gradient", "grad_cam"]),
    "perturb": lambda: perturb(trained_net(), shapes()),
    "attention": lambda: attention(with_seed(lambda: ViT(depth=2)), shapes()),
    "attention of bags": lambda: attention(with_seed(bag_classifier), small_bags()),
    "layers": lambda: layers(trained_net(), shapes()),
    "watch": make_watch,
    "rows": make_rows,
    "records": make_records,
    "judge": lambda: judge(make_values(), make_claims()),
}


def images_in(html):
    """Pictures in a piece of HTML, as arrays."""
    links = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(link)))) for link in links]


def html_of(panel):
    """All areas of a panel, joined."""
    return "".join(area.value for area in panel.areas.values())
