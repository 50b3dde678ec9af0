"""Signals, volumes and texts in the explorer: the map of the model's own numbers, and lines that make it again."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from networks import with_seed
from torch import nn
from widget_cases import html_of

import xnb
from xnb.widgets import explore
from xnb.widgets.explained import prepare_subject
from xnb.widgets.field_pictures import draw_fields

WORDS = [["a", "good", "film"], ["not", "so", "good"]]


def pooled(kind, axes):
    """A convolution, a ReLU and the mean over all places."""
    return nn.Sequential(kind(2, 3, 3, padding=1), nn.ReLU(), kind(3, 2, 1), nn.Flatten(2), Mean()).eval()


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(2)


class Reader(nn.Module):
    """Sums over words of an embedding's two numbers: the map is known."""

    def forward(self, x):
        return x.sum(1)


MAKE = {
    "signal": lambda: (with_seed(lambda: pooled(nn.Conv1d, 1)), torch.randn(2, 2, 40)),
    "volume": lambda: (with_seed(lambda: pooled(nn.Conv3d, 3)), torch.randn(2, 2, 6, 5, 4)),
    "text": lambda: (Reader().eval(), torch.randn(2, 3, 2)),
}


@pytest.fixture(scope="module", params=MAKE)
def panel(request):
    model, x = MAKE[request.param]()
    words = WORDS if request.param == "text" else ()
    panel = explore(model, x, method="integrated_gradients", words=words)
    assert panel.subject.kind == request.param
    return panel


def test_the_map_is_that_of_attribute(panel):
    panel.controls["picture"].value = 1
    answer = panel.answer()
    x = panel.subject.x[1:2]
    a = xnb.attribute(panel.subject.model, x, torch.tensor([answer.target]), "integrated_gradients")
    torch.testing.assert_close(answer.attribution, a)
    heat = a[0].sum(-1) if panel.subject.kind == "text" else a[0].sum(0)
    np.testing.assert_allclose(answer.heat, heat, rtol=1e-6)
    panel.controls["picture"].value = 0


def test_every_method_that_is_offered_answers(panel):
    for _, name in panel.controls["method"].options:
        panel.controls["method"].value = name
        assert 'role="alert"' not in html_of(panel), name
    panel.controls["method"].value = "integrated_gradients"


def test_the_copied_lines_make_the_same_map_and_draw_it(panel):
    for method in ("integrated_gradients", "kernel_shap"):
        panel.controls["method"].value = method
        names = {"model": panel.subject.model, "data": panel.subject.x}
        exec(code_of(panel), names)
        torch.testing.assert_close(names["a"], panel.answer().attribution)
        assert plt.gcf().axes
        plt.close("all")
    panel.controls["method"].value = "integrated_gradients"


def code_of(panel):
    from xnb.widgets.map_code import code_lines

    return "\n".join(code_lines(panel.subject, panel.question, panel.answer(), panel.look))


def test_places_are_named(panel):
    alt = html_of(panel)
    named = {"signal": "at step ", "volume": "at slice ", "text": "at &#x27;"}[panel.subject.kind]
    assert named in alt


def test_the_map_moves_with_the_numbers_and_the_input_has_no_colour(panel):
    subject = panel.subject
    shape = {"signal": (40,), "volume": (6, 5, 4), "text": (3,)}[subject.kind]
    heat = np.zeros(shape)
    blank = draw_fields(subject, 0, heat, 1.0)
    assert (np.ptp(blank.astype(int), axis=2) <= 4).all()  # grey or white only
    heat.flat[1] = 1
    red = draw_fields(subject, 0, heat, 1.0).astype(int)
    heat.flat[1] = -1
    blue = draw_fields(subject, 0, heat, 1.0).astype(int)
    assert (red[..., 0] - red[..., 2]).max() > 50
    assert (blue[..., 2] - blue[..., 0]).max() > 50


def test_a_figure_stands_where_nothing_moves(panel):
    assert len(panel._repr_mimebundle_()["image/png"]) > 5000


def test_each_word_is_one_player():
    """Of the sum over words, KernelSHAP gives each word its own numbers; a map has one value a word."""
    x = torch.tensor([[[1.0, 0], [2, 0], [-4, 0]]])
    panel = explore(Reader().eval(), x, method="exact_shapley", words=[["a", "b", "c"]])
    panel.controls["target"].value = 0
    assert panel.answer().heat.tolist() == pytest.approx([1, 2, -4])
    assert "regions=torch.arange(3)[:, None]" in panel.areas["code"].value


class Attended(nn.Module):
    """One attention over embeddings, and their mean."""

    def __init__(self):
        super().__init__()
        self.mix, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.mix(x, x, x, need_weights=False)[0].mean(1))


def test_embeddings_without_words_are_told_from_signals_by_the_model():
    """An attention over axis 1 of (2, 5, 4) has five words; of numbers that none goes along, nobody knows."""
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    panel = explore(with_seed(Attended).eval(), x, method="gradient_times_input")
    assert panel.subject.words == (("0", "1", "2", "3", "4"),) * 2
    assert panel.answer().heat.shape == (5,)
    assert "Taken for a" not in html_of(panel)
    unknown = explore(Reader().eval(), torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0)))
    assert unknown.subject.kind == "signal"
    assert "Taken for a signal: the model does not show which axis" in html_of(unknown)


def test_what_is_removed_has_its_name(panel):
    panel.controls["removal"].value = "mean"
    page = panel.areas["removal"].value
    assert {"signal": "as steps go", "volume": "as voxels go", "text": "as words go"}[panel.subject.kind] in page
    assert 'role="alert"' not in html_of(panel)
    panel.controls["removal"].value = "off"


def test_instances_that_the_model_shows_are_no_slices():
    """A layer that is given the instances of x (2, 3, 2, 4, 4) one by one, as pictures of two channels."""
    each = nn.Sequential(nn.Flatten(0, 1), nn.Conv2d(2, 2, 4), nn.Flatten(), nn.Unflatten(0, (-1, 3)), nn.Flatten())
    model = nn.Sequential(each, nn.Linear(6, 2)).eval()
    with pytest.raises(ValueError, match="must not be bags of instances"):
        explore(model, torch.rand(2, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("words", [[["a", "b"]], [["a"] * 3]])
def test_words_must_name_every_embedding(words):
    with pytest.raises(ValueError, match="words name the T embeddings"):
        prepare_subject(Reader().eval(), torch.randn(2, 3, 2), words=words)


def test_bags_and_inputs_of_six_axes_are_refused():
    bags = xnb.data.bags("positive_negative", n=(0, 2))
    model = lambda x: x.flatten(1)[:, : len(bags.classes)]  # noqa: E731
    with pytest.raises(ValueError, match=r"must not be bags of instances\n.*\n  try: xnb.widgets.attention"):
        explore(model, bags)
    with pytest.raises(ValueError, match="2 to 5 axes"):
        explore(model, torch.rand(1, 1, 1, 1, 1, 4))
