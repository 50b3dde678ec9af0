"""Rows of whole tables: methods, each judged by metrics. Controls come on top in ours, always."""

import warnings
from collections.abc import Callable

import captum.attr
import quantus
import torch
from torch import Tensor, nn

import xnb
from benchmarks import judges
from benchmarks.cases import Case, Peer, row
from benchmarks.removals import fifty
from benchmarks.workloads import SPAN, Workload
from xnb import metrics
from xnb.access.memo import remember_answers
from xnb.check import PromiseWarning
from xnb.data import Part
from xnb.methods.gradient import gradient_times_input
from xnb.metrics.neighbours import shared_noise
from xnb.metrics.subsets import draw_squares

MAPS, SETS, MOVES, RADIUS, STEPS, SAMPLES, WINDOW = 12, 32, 4, 0.02, 32, 25, 4
CURVE, NODES, CONTROLS = 9, 16, 5  # of a sweep: steps of a curve, of a path, and the controls of every comparison
EIGHT = "infidelity faithfulness_correlation morf max_sensitivity random_logit relevance_mass auc sparseness".split()
FLIPS = 5e-3  # of single ReLUs within rounding of zero, squared with the map that they are in
Method = Callable[[nn.Module, Tensor, Tensor], Tensor]


@row("infidelity and faithfulness correlation of 12 maps", cnn32=2)
def twelve_maps(w: Workload) -> Case:
    """Removals do not depend on the maps. Compared are the infidelities: Quantus draws sets of its own."""
    gone, rng = draw_squares(w.x, (2, 3), SETS, 0), torch.Generator().manual_seed(1)
    parts = torch.rand(MAPS, *w.x.shape, generator=rng).to(w.x)
    maps = list(parts * gradient_times_input(w.model, w.x, w.target))

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        with remember_answers():
            for a in maps:
                metrics.faithfulness_correlation(model, x, target, a.to(x), samples=SETS)
            knobs = {"samples": SETS, "normalise": False}
            return torch.stack([metrics.infidelity(model, x, target, a.to(x), **knobs) for a in maps])

    def theirs(**knobs: int) -> Tensor:
        for a in maps:
            correlated(w, a)
        return torch.stack([judges.captum_infidelity(w, a, gone, **knobs) for a in maps])

    settings = {f"max_examples_per_batch={n}": {"max_examples_per_batch": n} for n in (32, 128)}
    peer = Peer("captum, quantus", theirs, {"prepared/default": 0.15}, settings)
    return Case(ours, (peer,), tolerance=1e-3)


@row("12 methods by 8 metrics", cnn32=1)
def table(w: Workload) -> Case:
    """Compared are the infidelities of six methods that draw nothing and have one convention in both libraries."""
    masks = torch.zeros(len(w.x), 1, *w.x.shape[2:], dtype=torch.bool, device=w.x.device)
    masks[..., 4:12, 4:12] = True
    explainers = captums(w)
    equal = "gradient gradient_times_input integrated_gradients guided_backprop deconvnet deep_lift".split()

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        part = Part(x, target, masks)
        with warnings.catch_warnings():
            # Captum's maps begin at black and its infidelity fills with the mean, so ours do too, and compare says so.
            warnings.simplefilter("ignore", PromiseWarning)
            found = xnb.compare(model, part, list(explainers), EIGHT, target=target, knobs=knobs(w), signs="signed")
        found = found[found["metric"] == "infidelity"].set_index("method")["value"]
        return torch.stack([torch.tensor(found.loc[[name]].to_numpy()) for name in equal]).to(x)

    def theirs(per_eval: int | None = None, together: int | None = None) -> Tensor:
        found = {name: judged(w, method, masks, together) for name, method in captums(w, per_eval).items()}
        return torch.stack([found[name] for name in equal])

    best = {"batches of 16": {"per_eval": 16, "together": 16}, "batches of 64": {"per_eval": 64, "together": 64}}
    peer = Peer("captum, quantus", theirs, {"prepared/default": 0.33}, best)
    return Case(ours, (peer,), tolerance=FLIPS)


@row("sweep", uneven=100)
def sweep(w: Workload) -> Case:
    """Maps of many pictures, and both curves of removal of each; noise stands for our controls in theirs.

    Compared are the gaps of the four maps that draw nothing. Nine steps, as Quantus counts values in steps that must
    divide the pixels: of 36 x 44 pixels, and of tiny ones, each step takes the three values of whole pixels.
    """
    methods = ["gradient", "integrated_gradients", "deep_lift"]
    asked = {"srg": {"steps": CURVE}, "integrated_gradients": {"steps": NODES}}

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        found = xnb.compare(model, Part(x, target), methods, ["srg"], target=target, knobs=asked)
        gaps = found.pivot(index="method", columns="image", values="value")
        equal = ["gradient", "gradient, magnitude", "integrated_gradients", "deep_lift"]
        return torch.from_numpy(gaps.loc[equal].to_numpy()).to(x)

    def theirs(together: int = 64) -> Tensor:
        blocks = zip(w.x.split(together), w.target.split(together), strict=True)
        return torch.cat([sweep_by_peers(w.model, x, target, CURVE) for x, target in blocks], 1)

    best = {f"batches of {together}": {"together": together} for together in (16, 32)}
    return Case(ours, (Peer("captum, quantus", theirs, {"prepared/default": 0.5}, best),), tolerance=FLIPS)


def sweep_by_peers(model: nn.Module, x: Tensor, target: Tensor, steps: int) -> Tensor:
    """Gaps of some pictures by nine maps of Captum and noise, of which those of the first four are returned."""
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    gradient = judges.slope(model, x, target)
    integrated = captum.attr.IntegratedGradients(model).attribute(x, mean, target=target, n_steps=NODES)
    lifted = captum.attr.DeepLift(model).attribute(x, mean, target=target)
    maps = [gradient, gradient.abs(), integrated.detach(), lifted.detach()]
    noise = torch.Generator().manual_seed(0)
    controls = [torch.rand(x.shape, generator=noise).to(x) for _ in range(CONTROLS)]
    gaps = [judges.quantus_gap(model, x, target, a, steps) for a in [*maps, *controls]]
    return torch.stack(gaps[: len(maps)])


def knobs(w: Workload) -> dict[str, dict[str, object]]:
    """What both libraries are asked for."""
    sampled = {"samples": SAMPLES, "sigma": 0.1}
    return {
        "integrated_gradients": {"steps": STEPS, "baseline": 0.0},
        "deep_lift": {"baseline": 0.0},
        "smoothgrad": sampled,
        "vargrad": sampled,
        "expected_gradients": {"samples": SAMPLES, "baseline": 0.0},
        "grad_cam": {"layer": w.layer},
        "occlusion": {"window": WINDOW, "stride": WINDOW, "baseline": 0.0},
        "feature_ablation": {"regions": fifty(w), "baseline": 0.0},
        "infidelity": {"samples": SETS, "normalise": False},
        "faithfulness_correlation": {"samples": SETS},
        "max_sensitivity": {"samples": MOVES, "radius": RADIUS, "same_prediction": False},
    }


def captums(w: Workload, per_eval: int | None = None) -> dict[str, Method]:
    """Twelve methods of Captum by the names of ours."""
    some = {"perturbations_per_eval": per_eval} if per_eval else {}
    window = {"sliding_window_shapes": (3, WINDOW, WINDOW), "strides": (3, WINDOW, WINDOW)}
    black = torch.zeros_like(w.x[:1])
    return {
        "gradient": ask("Saliency", abs=False),
        "gradient_times_input": ask("InputXGradient"),
        "integrated_gradients": ask("IntegratedGradients", n_steps=STEPS, internal_batch_size=per_eval),
        "smoothgrad": noisy("smoothgrad", per_eval),
        "vargrad": noisy("vargrad", per_eval),
        "expected_gradients": ask("GradientShap", baselines=black, n_samples=SAMPLES),
        "guided_backprop": ask("GuidedBackprop"),
        "deconvnet": ask("Deconvolution"),
        "deep_lift": ask("DeepLift"),
        "grad_cam": cam(w.layer),
        "occlusion": ask("Occlusion", **window, **some),
        "feature_ablation": ask("FeatureAblation", feature_mask=fifty(w), **some),
    }


def ask(kind: str, **options: object) -> Method:
    def method(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        return getattr(captum.attr, kind)(model).attribute(x, target=target, **options).detach()

    return method


def noisy(kind: str, per_eval: int | None) -> Method:
    options = {"nt_type": kind, "nt_samples": SAMPLES, "stdevs": 0.1 * SPAN, "abs": False}

    def method(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
        return tunnel.attribute(x, target=target, nt_samples_batch_size=per_eval and 8, **options).detach()

    return method


def cam(layer: str) -> Method:
    def method(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        grad_cam = captum.attr.LayerGradCam(model, model.get_submodule(layer))
        # without its ReLU, which may leave nothing of a picture: Quantus refuses maps of zeros, or of one sign
        small = grad_cam.attribute(x, target=target, relu_attributions=False).detach().abs()
        return captum.attr.LayerAttribution.interpolate(small, x.shape[2:], "bilinear").expand_as(x).contiguous()

    return method


def correlated(w: Workload, a: Tensor) -> Tensor:
    """Quantus' faithfulness correlation: as many sets as ours, an eighth of the values each."""
    return judges.quantus_correlation(w, a, w.x[0].numel() // 8, SETS, "mean")


def judged(w: Workload, method: Method, masks: Tensor, together: int | None) -> Tensor:
    """All eight metrics of one method of theirs; the infidelity is what is compared."""
    a = method(w.model, w.x, w.target)
    some = {"max_examples_per_batch": together} if together else {}
    moves = RADIUS * shared_noise(w.x, MOVES, 0, uniform=True)
    judges.captum_sensitivity(w, moves, method, **some)
    correlated(w, a)
    quiet = {**judges.QUIET, **judges.AS_IT_IS}
    flips = quantus.PixelFlipping(features_in_step=w.x[0, 0].numel() // 16, perturb_baseline="mean", **quiet)
    other = quantus.RandomLogit(num_classes=w.model(w.x[:1]).shape[1], seed=0, **quiet)
    for metric in (flips, quantus.Sparseness(abs=True, normalise=False, **judges.QUIET)):
        judges.judged(w, metric, a)
    judges.judged(w, other, a, explain_func=judges.as_quantus_asks(method))
    for metric in (quantus.RelevanceMassAccuracy(**quiet), quantus.AUC(**quiet)):
        judges.judged(w, metric, a.abs().sum(1, keepdim=True), s_batch=masks.cpu().numpy())
    return judges.captum_infidelity(w, a, draw_squares(w.x, (2, 3), SETS, 0), **some)
