"""Ablation, RISE and LIME against slow twins that look only at what the model was run on, and other libraries.

Slow twins: feature_ablation, rise, lime
Tests: xnb.methods.lime
"""

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn
from torch.nn import functional as F

from xnb.access.ledger import count_passes
from xnb.access.regions import square_grid
from xnb.methods.coalition_sampling import draw_smooth_masks
from xnb.methods.lime import lime
from xnb.methods.masking import feature_ablation, rise

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture
def table():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2)).double().eval()
        return net, torch.randn(4, 6).double(), torch.tensor([0, 1, 1, 0])


class Recorder:
    """A model that keeps its inputs and its outputs."""

    def __init__(self, model):
        self.model, self.inputs, self.outputs = model, [], []

    def __call__(self, x):
        out = self.model(x)
        self.inputs.append(x)
        self.outputs.append(out)
        return out


def linear(weights, constant=0.0):
    return lambda z: z.flatten(1) @ weights.flatten()[:, None] + constant


class TestFeatureAblation:
    def test_region_by_region(self, model, x, target):
        regions = torch.stack([square_grid(6, 6, 2), square_grid(6, 6, 2).flip(0) + 3]).clamp(max=6)
        a = feature_ablation(model, x, target, regions=regions, baseline=0.5)
        for i, region in torch.cartesian_prod(torch.arange(5), torch.arange(7)).tolist():
            painted = torch.where(regions == region, 0.5, x[i])
            drop = (model(x[i][None]) - model(painted[None]))[0, target[i]]
            torch.testing.assert_close(a[i][regions == region], drop.expand(int((regions == region).sum())))

    def test_exact_on_a_linear_table(self, table):
        weights = torch.arange(1.0, 7.0).double()
        _, x, target = table
        expected = weights * (x - 2)
        a = feature_ablation(linear(weights, 5.0), x, torch.ones_like(target), baseline=2.0)
        torch.testing.assert_close(a, expected, **CLOSE)

    def test_captum(self, model, x, target):
        captum = pytest.importorskip("captum.attr")
        regions = square_grid(6, 6, 3)
        theirs = captum.FeatureAblation(model).attribute(x, target=target, feature_mask=regions[None, None])
        ours = feature_ablation(model, x, target, regions=regions)
        torch.testing.assert_close(ours.expand_as(x), theirs, **CLOSE)


class TestRise:
    def test_masks_are_enlarged_and_cropped(self):
        """The paper's section 3.3 by torch's own bilinear enlargement: every mask is one crop of one of its grids."""
        masks = draw_smooth_masks(11, 8, 3, 20, torch.Generator().manual_seed(3))(slice(None))
        bits = torch.randint(2, (20, 1, 3, 3), generator=torch.Generator().manual_seed(3)).double()
        large = F.interpolate(bits, size=(16, 12), mode="bilinear")
        crops = torch.stack([large[..., r : r + 11, c : c + 8] for r in range(4) for c in range(3)])
        distances = (crops - masks).abs().flatten(2).amax(2)
        assert distances.min(0).values.max() < 1e-12
        assert len(distances.argmin(0).unique()) > 4  # and not always the same

    def test_each_place_is_seen_half_of_the_time(self):
        masks = draw_smooth_masks(32, 32, 7, 4000, torch.Generator().manual_seed(0))(slice(None))
        assert (masks.mean(0) - 0.5).abs().max() < 0.04
        assert masks.min() >= 0
        assert masks.max() <= 1

    @pytest.mark.parametrize("estimator", ["centred", "coverage", "raw"])
    def test_estimators_from_what_was_shown(self, estimator, model, target):
        """An input of ones on a baseline of zeros is turned into the masks themselves."""
        recorder = Recorder(model)
        with count_passes() as passes:
            a = rise(recorder, torch.ones(1, 2, 6, 6).double(), target[:1], cells=3, samples=150, estimator=estimator)
        masks = torch.cat(recorder.inputs)[:, 0]
        scores = torch.cat(recorder.outputs)[:, target[0]].detach()
        expected = torch.empty(6, 6).double()
        for r in range(6):
            for c in range(6):
                m = masks[:, r, c]
                expected[r, c] = {
                    "centred": torch.cov(torch.stack([m, scores]))[0, 1] / m.var(),
                    "coverage": (m * scores).sum() / m.sum(),
                    "raw": (m * scores).mean() / 0.5,
                }[estimator]
        torch.testing.assert_close(a[0, 0], expected, **CLOSE)
        assert passes.forward == 150

    def test_on_a_linear_table_each_value_gets_its_share(self, table):
        weights = torch.arange(1.0, 7.0).double()
        _, x, target = table
        a = rise(linear(weights, 100.0), x, torch.ones_like(target), samples=20_000, baseline=1.0)
        torch.testing.assert_close(a, weights * (x - 1), rtol=0, atol=0.6)

    def test_regions_take_the_place_of_smooth_masks(self, model, x, target):
        a = rise(model, x, target, regions=square_grid(6, 6, 2), samples=50)
        assert a.shape == (5, 1, 6, 6)
        assert len(a[0].round(decimals=12).unique()) == 4

    def test_centred_needs_far_fewer_masks_than_the_paper(self, model, x, target):
        """What all masks have in common, here a constant, is noise to the raw estimator and none to the centred."""

        def shifted(z):
            return model(z) + 20

        centred, raw = (
            torch.stack([rise(shifted, x, target, cells=3, samples=200, estimator=e, seed=s) for s in range(8)]).var(0)
            for e in ("centred", "raw")
        )
        assert centred.mean() < raw.mean() / 10


class TestLime:
    def test_scikit_learn_on_the_same_coalitions(self, table):
        model, x, target = table
        recorder = Recorder(model)
        a = lime(recorder, x, target, samples=80, baseline=0.25, distance="euclidean", width=0.7, ridge=0.3)
        inputs, outputs = (torch.cat(passes).unflatten(0, (-1, 4)) for passes in (recorder.inputs, recorder.outputs))
        for i in range(4):
            kernel = torch.exp(-(inputs[:, i] - x[i]).square().sum(1) / (2 * 0.7**2))
            members = (inputs[:, i] == x[i]).double().numpy()
            fit = Ridge(0.3).fit(members, outputs[:, i, target[i]].detach().numpy(), sample_weight=kernel.numpy())
            torch.testing.assert_close(a[i], torch.from_numpy(fit.coef_), **CLOSE)

    @pytest.mark.parametrize("distance", ["cosine", "euclidean"])
    @pytest.mark.parametrize("width", [0.25, 1.0])
    def test_captum_on_the_same_coalitions(self, distance, width, table):
        """Captum measures distances and fits in single precision."""
        lime_module = pytest.importorskip("captum.attr._core.lime")
        linear_model = pytest.importorskip("captum._utils.models.linear_model")
        model, x, target = table
        recorder = Recorder(model)
        ours = lime(recorder, x[:1], target[:1], samples=60, baseline=0.5, distance=distance, width=width, ridge=0.2)
        coalitions = iter((torch.cat(recorder.inputs) == x[0]).long()[:, None])
        theirs = lime_module.Lime(
            model,
            interpretable_model=linear_model.SkLearnRidge(alpha=0.2),
            similarity_func=lime_module.get_exp_kernel_similarity_function(distance, width),
            perturb_func=lambda *_, **__: next(coalitions),
        ).attribute(x[:1], target=int(target[0]), baselines=0.5, n_samples=60)
        torch.testing.assert_close(ours.float(), theirs, rtol=1e-4, atol=1e-5)

    def test_recovers_a_linear_model(self, model, x, target):
        weights = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(5)).double()
        regions = square_grid(6, 6, 3)
        a = lime(linear(weights, 3.0), x, torch.ones_like(target), regions=regions, ridge=1e-9)
        for region in range(9):
            share = (weights * x)[:, :, regions == region].sum((1, 2))
            torch.testing.assert_close(a[:, 0][:, regions == region][:, 0], share, rtol=1e-6, atol=1e-8)

    def test_nothing_to_compare_with_is_no_division_by_zero(self, table):
        model, x, target = table
        assert lime(model, x * 0, target, baseline=1.0).isfinite().all()


@pytest.mark.parametrize("estimator", ["centred", "coverage", "raw", "lime"])
class TestError:
    @staticmethod
    def call(estimator, *args, **knobs):
        return lime(*args, **knobs) if estimator == "lime" else rise(*args, estimator=estimator, **knobs)

    def test_falls_with_the_root_of_the_samples_and_is_what_it_says(self, estimator, table):
        model, x, target = table
        runs = {}
        for samples in (60, 960):
            maps, claimed = [], []
            for seed in range(40):
                with count_passes() as passes:
                    maps.append(self.call(estimator, model, x, target, samples=samples, seed=seed))
                claimed.append(passes.notes["standard_error"] * maps[-1].square().mean(1).sqrt())
            real = torch.stack(maps).var(0).mean(1).sqrt()
            runs[samples] = real
            ratio = real / torch.stack(claimed).square().mean(0).sqrt()
            assert ((ratio > 0.75) & (ratio < 1.3)).all(), ratio
        assert (runs[60] / runs[960] > 3).all()  # sixteen times the samples: a quarter, but for chance

    def test_goes_on_until_it_is_small_and_each_input_for_itself(self, estimator, table):
        model, x, target = table
        with count_passes() as once:
            self.call(estimator, model, x, target, samples=100)
        wanted = float(once.notes["standard_error"].max() * 0.5)
        with count_passes() as passes:
            together = self.call(estimator, model, x, target, samples=100, standard_error=wanted)
        assert (passes.notes["standard_error"] <= wanted).all()
        assert once.forward < passes.forward < 64 * once.forward
        alone = [
            self.call(estimator, model, x[i : i + 1], target[i : i + 1], samples=100, standard_error=wanted)
            for i in range(4)
        ]
        torch.testing.assert_close(together, torch.cat(alone), **CLOSE)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda *a: rise(*a, samples=1), "rise: samples must be at least 2"),
        (lambda *a: rise(*a, estimator="mean"), r"centred, coverage or raw\n  got: 'mean'\n  try: estimator='centred'"),
        (lambda *a: rise(*a, cells=0), r"rise: cells must be at least 1\n  got: 0\n  try: cells=7"),
        (lambda *a: lime(*a, samples=1), "lime: samples must be at least 2"),
        (lambda *a: lime(*a, distance="l1"), r"cosine or euclidean\n  got: 'l1'\n  try: distance='cosine'"),
        (lambda *a: lime(*a, width=0.0), "lime: width must be positive"),
        (lambda *a: lime(*a, ridge=0.0), "lime: ridge must be positive"),
    ],
)
def test_refusals(call, match, model, x, target, as_users_run):
    with pytest.raises(ValueError, match=match):
        call(model, x, target)


@pytest.mark.parametrize("method", [feature_ablation, rise, lime])
def test_no_input_no_answer(method, table):
    model, x, target = table
    assert method(model, x[:0], target[:0]).shape == (0, 6)
