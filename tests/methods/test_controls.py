"""Maps that know nothing of the model, on signals, pictures and volumes."""

import pytest
import torch

import xnb
from xnb import attribute, checkpoints, data
from xnb.access.score import logits
from xnb.comparison import estimate_mean
from xnb.metrics import METRICS

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


def draw_pictures(n, **kind):
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)).to(**kind)


def correlate(a, b):
    """Pearson's correlation of the two maps of each input."""
    a, b = (maps.flatten(1).double() for maps in (a, b))
    a, b = (maps - maps.mean(1, keepdim=True) for maps in (a, b))
    return torch.nn.functional.cosine_similarity(a, b)


class TestRandom:
    """A map for each input and seed: by its values, whatever stands beside it."""

    def test_each_input_has_its_own_wherever_it_stands(self):
        x = draw_pictures(6)
        whole = attribute(None, x, 0, "random")
        order = torch.tensor([4, 0, 4, 2])
        assert torch.equal(attribute(None, x[order], 0, "random"), whole[order])
        channels_last = x.to(memory_format=torch.channels_last)
        assert torch.equal(attribute(None, channels_last, 0, "random"), whole)

    @pytest.mark.parametrize("seed", [0, 1, 7])
    def test_maps_of_two_inputs_of_a_changed_one_and_of_two_seeds_are_unrelated(self, seed):
        """768 values: a correlation by chance is 0.036 in size, and the mean of 200 of them 0.0026."""
        x = draw_pictures(200)
        maps = attribute(None, x, 0, "random", seed=seed)
        nudged = x.clone()
        nudged[:, 0, 0, 0] += 1e-4
        for others in (
            maps.roll(1, 0),
            attribute(None, nudged, 0, "random", seed=seed),
            attribute(None, x, 0, "random", seed=seed + 1),
            x,
        ):
            found = correlate(maps, others)
            assert abs(float(found.mean())) < 4 * 0.0026
            assert float(found.std()) == pytest.approx(0.036, rel=0.2)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
    def test_every_precision_has_the_same_draw_rounded(self, dtype):
        x = draw_pictures(3).bfloat16().float()  # values that every dtype holds
        found = attribute(None, x.to(dtype), 0, "random")
        assert found.dtype == dtype
        assert torch.equal(found, attribute(None, x, 0, "random").to(dtype))

    def test_minus_zero_is_zero(self):
        zeros = torch.zeros(1, 4, 5)
        assert torch.equal(attribute(None, -zeros, 0, "random"), attribute(None, zeros, 0, "random"))

    def test_its_symmetric_gap_is_zero_over_inputs_and_seeds(self):
        """One map for all inputs has a gap of its own on all of them, which no number of inputs averages away."""
        net, part = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 200), seed=5).test
        target = logits(net, part.x).argmax(1)
        gaps = []
        for seed in range(3):
            a = attribute(net, part.x, target, "random", seed=seed)
            gaps.append(METRICS["srg"](net, part.x, target, a, steps=4))
        found = estimate_mean(torch.stack(gaps))
        assert found.low < 0 < found.high
        assert found.high - found.low < 0.6  # where the gradient's size has 5.6


class TestBaselineDistance:
    def test_it_is_the_size_of_the_difference(self):
        x = torch.tensor([[[-3.0, 0.5, 2.0]]])
        assert attribute(None, x, 0, "baseline_distance").tolist() == [[[3.0, 0.5, 2.0]]]
        assert attribute(None, x, 0, "baseline_distance", baseline=0.5).tolist() == [[[3.5, 0.0, 1.5]]]

    @pytest.mark.parametrize("baseline", ["zero", "mean", "blur", "noise", 0.5])
    def test_it_is_a_factor_of_integrated_gradients(self, baseline, target):
        """On f = sum x every gradient is 1: the map is x - b."""
        x = draw_pictures(5)
        f = lambda x: x.flatten(1).sum(1, keepdim=True).expand(-1, 3)  # noqa: E731
        path = attribute(f, x, target, "integrated_gradients", baseline=baseline, steps=2)
        found = attribute(f, x, target, "baseline_distance", baseline=baseline)
        torch.testing.assert_close(found, path.abs(), rtol=1e-5, atol=1e-6)

    def test_a_baseline_for_each_input_follows_it(self):
        x = draw_pictures(4)
        start = x.flip(0)
        found = attribute(None, x, 0, "baseline_distance", baseline=start)
        assert torch.equal(found, (x - start).abs())
