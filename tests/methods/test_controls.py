"""Maps that know nothing of the model, on signals, pictures and volumes."""

import pytest
import torch

import xnb
from xnb import attribute

NOTHING = lambda x: x.flatten(1)[:, :2]  # noqa: E731


@pytest.mark.parametrize("shape", [(9,), (8, 9), (7, 8, 9)])
def test_edges_of_a_ramp_are_its_slope(shape):
    """x = 2 a + 3 b + 6 c over the last places: slopes of 6; 3 and 6; 2, 3 and 6, of length 6, sqrt(45) and 7."""
    slopes = torch.tensor([2.0, 3.0, 6.0])[-len(shape) :].double()
    grids = torch.meshgrid(*map(torch.arange, shape), indexing="ij")
    ramp = sum(slope * grid for slope, grid in zip(slopes, grids, strict=True))
    x = torch.stack([ramp + 5, ramp - 5])[None].double()
    found = attribute(NOTHING, x, 0, "edges", units=tuple(range(2, x.ndim)))
    assert found.shape == (1, 1, *shape)
    inside = found[(0, 0, *[slice(1, -1)] * len(shape))]
    torch.testing.assert_close(inside, slopes.norm().expand_as(inside))


@pytest.mark.parametrize("shape", [(9,), (1, 8), (8, 9), (7, 8, 9)])
def test_the_centre_is_a_gaussian_of_a_quarter_of_each_side(shape):
    x = torch.zeros(2, 3, *shape).double()
    found = attribute(NOTHING, x, 0, "centre", units=tuple(range(2, x.ndim)))
    places = torch.cartesian_prod(*map(torch.arange, shape)).double().view(-1, len(shape))
    half = (torch.tensor(shape).double() - 1) / 2
    quarter = (half / 2).clamp(min=1e-9)
    expected = torch.exp(-((places - half) / quarter).square().sum(1) / 2)
    torch.testing.assert_close(found.flatten(1), expected.expand(2, -1))


@pytest.mark.parametrize(
    ("name", "shape", "way_out"),
    [("edges", (2, 5), "random"), ("centre", (2, 5), "random"), ("edges", (2, 1, 3, 3, 3, 3), "centre")],
)
def test_the_way_out_of_a_refusal_works(name, shape, way_out):
    x = torch.randn(shape)
    with pytest.raises(ValueError, match=f"{name}: x must (.|\n)*{way_out}") as refusal:
        xnb.METHODS[name](NOTHING, x, torch.zeros(2).long())
    names = {"xnb": xnb, "model": NOTHING, "x": x, "target": 0}
    assert eval(str(refusal.value).split("try: ")[1], names).isfinite().all()


@pytest.mark.parametrize("name", [name for name, card in xnb.METHODS.cards.items() if card.needs == "nothing"])
def test_a_control_needs_no_model(name):
    x = torch.randn(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(attribute(None, x, 0, name), attribute(NOTHING, x, 0, name))
    assert attribute(None, x[:0], 0, name).shape[0] == 0
    with pytest.raises(ValueError, match="x must be finite"):
        attribute(None, x / 0, 0, name)


@pytest.mark.parametrize("name", ["gradient", "occlusion", "raw_attention"])
def test_what_needs_a_model_leads_to_what_does_not(name):
    x = torch.randn(2, 3, 6, 7)
    with pytest.raises(ValueError, match="model must be") as refusal:
        attribute(None, x, 0, name)
    hint = str(refusal.value).split("try: ")[1]
    assert eval(hint, {"xnb": xnb, "x": x, "target": 0}).shape == x.shape
