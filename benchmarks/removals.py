"""Rows of methods that take parts of the input away: windows, regions, coalitions.

Libraries repeat the value of a region in every channel, we do not; comparisons broadcast.
"""

from torch import Tensor

from benchmarks.cases import Case, Peer, in_double, method, row
from benchmarks.peers import captum_asks, captum_lime, shap_kernel, sizes
from benchmarks.workloads import Workload, rectangles

SAMPLES = 200
ORDERS = 20
WINDOWS = {"cnn32": (4, 2), "plain32": (2, 2), "resnet18": (32, 16), "vit32": (4, 4)}  # side, stride
RESIDUAL = {"prepared/default": 0.50, "prepared/best": 0.56}
PLAIN = {"prepared/default": 0.33, "prepared/best": 0.42}
OCCLUSION = {"cnn32": RESIDUAL, "resnet18": RESIDUAL, "plain32": PLAIN}
PICTURES = {"prepared/default": 0.55, "prepared/best": 0.75}
TABLE = {"prepared/default": 0.01, "prepared/best": 0.02}
PER_EVAL = sizes("perturbations_per_eval", (2, 4, 8, 16, 32))


@row("occlusion", cnn32=4, plain32=4, resnet18=1, vit32=2)
def occlusion(w: Workload) -> Case:
    window, stride = WINDOWS[w.name]
    ours = method("occlusion", window=window, stride=stride)
    run = captum_asks(w, "Occlusion", sliding_window_shapes=(3, window, window), strides=(3, stride, stride))
    along = (w.x.shape[-1] - window) // stride + 1
    peer = Peer("captum", run, OCCLUSION.get(w.name, {}), PER_EVAL)
    return Case(ours, (peer,), (len(w.x) * (1 + along**2), 0), referee=in_double(w, ours))


@row("feature_ablation, 50 regions", cnn32=8)
def feature_ablation(w: Workload) -> Case:
    ours = method("feature_ablation", regions=fifty(w))
    peer = Peer("captum", captum_asks(w, "FeatureAblation", feature_mask=fifty(w)), {}, PER_EVAL)
    return Case(ours, (peer,), (len(w.x) * (1 + players(w)), 0), referee=in_double(w, ours))


@row("rise", cnn32=2)
def rise(w: Workload) -> Case:
    """Without peers: none of the libraries has it."""
    return Case(method("rise", samples=500), passes=(500 * len(w.x), 0))


@row("kernel_shap, 50 regions", cnn32=4)
def kernel_shap_on_pictures(w: Workload) -> Case:
    run = captum_asks(w, "KernelShap", feature_mask=fifty(w), n_samples=SAMPLES)
    return sampled(w, "kernel_shap", 4000, Peer("captum", run, PICTURES, PER_EVAL), regions=fifty(w))


@row("lime, 50 regions", cnn32=4)
def lime_on_pictures(w: Workload) -> Case:
    run = captum_lime(w, feature_mask=fifty(w), n_samples=SAMPLES)
    return sampled(w, "lime", 4000, Peer("captum", run, PICTURES, PER_EVAL), regions=fifty(w))


@row("kernel_shap, 30 features", table30=8)
def kernel_shap_on_a_table(w: Workload) -> Case:
    peer = Peer("captum", captum_asks(w, "KernelShap", n_samples=SAMPLES), TABLE, PER_EVAL)
    other = Peer("shap", lambda: shap_kernel(w, SAMPLES), {"prepared/default": 0.07})
    return sampled(w, "kernel_shap", 20_000, peer, other)


@row("lime, 30 features", table30=8)
def lime_on_a_table(w: Workload) -> Case:
    return sampled(w, "lime", 20_000, Peer("captum", captum_lime(w, n_samples=SAMPLES), TABLE, PER_EVAL))


def sampled(w: Workload, name: str, many: int, *peers: Peer, **knobs: object) -> Case:
    """`SAMPLES` of ours against as many of theirs; the referee takes `many` and another seed."""
    ours, truth = method(name, samples=SAMPLES, **knobs), method(name, samples=many, seed=1, **knobs)
    return Case(ours, peers, (SAMPLES * len(w.x), 0), tolerance=None, referee=in_double(w, truth, judged(w)))


@row("permutation_shapley", cnn32=2, table30=8)
def permutation_shapley(w: Workload) -> Case:
    """Twenty orders; ours are ten, each forwards and backwards."""
    pictures = w.x.ndim == 4
    regions, mask = ({"regions": fifty(w)}, {"feature_mask": fifty(w)}) if pictures else ({}, {})
    peer = Peer("captum", captum_asks(w, "ShapleyValueSampling", n_samples=ORDERS, **mask), {}, PER_EVAL)
    ours, truth = (method("permutation_shapley", samples=n // 2, **regions) for n in (ORDERS, 10 * ORDERS))
    passes = (len(w.x) * (ORDERS * (players(w) - 1) + 2), 0)
    return Case(ours, (peer,), passes, tolerance=None, referee=in_double(w, truth, judged(w)))


@row("exact_shapley", mlp=8)
def exact_shapley(w: Workload) -> Case:
    """1,024 coalitions. Without peers: Captum's runs through all orders of the features."""
    return Case(method("exact_shapley"), passes=(1024 * len(w.x), 0))


def fifty(w: Workload) -> Tensor:
    """Regions of a picture, 5 x 10, as (1, 1, H, W); of a tiny one, 2 x 3."""
    return rectangles(w, *((2, 3) if w.tiny else (5, 10)))[None, None]


def judged(w: Workload) -> int:
    """Inputs of the referee: all rows of a table, one picture, where it takes many passes."""
    return len(w.x) if w.x.ndim == 2 else 1


def players(w: Workload) -> int:
    return w.x.shape[1] if w.x.ndim == 2 else int(fifty(w).max()) + 1
