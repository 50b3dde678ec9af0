"""Calls that are refused with a line to try: the call, and what is run before it.

Names at hand: xnb, torch, np, nn, model, net, x, target, a (an attribution), mask, method.
"""

import access_cases
import data_cases
import disk_cases
import insight_cases
import method_cases
import output_cases
import panel_cases
import room_cases
import scale_cases
import slip_cases
import spoilt_cases
import store_cases
import study_cases
import token_cases

_AXES = "from matplotlib.figure import Figure; ax = Figure().subplots()"
_TEXT = "nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 3)).eval()"
_ATTRIBUTE = "xnb.attribute(model, x, target, 'gradient')"
_ABLATION = "xnb.attribute(model, x, target, 'feature_ablation')"
_POOLED = (
    "model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 4)).eval(); target = torch.arange(4)"
)
_TABLE = "model = nn.Linear(6, 3).eval(); x = torch.rand(4, 6)"

_ACCESS = [
    ("xnb.attribute(model, x, target, 'gradient', chunk=0)", ""),
    (_ATTRIBUTE, "model.train()"),
    (_ATTRIBUTE, "x = x[0]; target = 0"),
    ("xnb.attribute(model, x, 0, 'lime')", "model = nn.Linear(6, 3).eval(); x = torch.rand(6)"),
    ("xnb.explain(model, x, 0, ['kernel_shap'])", "model = nn.Linear(6, 3).eval(); x = torch.rand(6)"),
    (_ATTRIBUTE, "x = (x * 255).byte()"),
    (_ATTRIBUTE, "model = nn.Linear(6, 3).eval(); x = torch.ones(4, 6).long()"),
    (
        _ATTRIBUTE,
        f"model = {_TEXT}; x = torch.ones(4, 3).long()",
    ),
    (_ATTRIBUTE, "x = x.double()"),
    (_ATTRIBUTE, "model = model.bfloat16()"),
    (_ATTRIBUTE, "x = x.numpy()"),
    (_ATTRIBUTE, "x = x.tolist()"),
    (_ATTRIBUTE, "x = x / 0"),
    (_ATTRIBUTE, "target = [0]"),
    (_ATTRIBUTE, "target = [0.5, 1, 1, 1]"),
    (_ATTRIBUTE, "target = 'cat'"),
    (_ATTRIBUTE, "target = None"),
    (_ATTRIBUTE, "target = 7"),
    (_ATTRIBUTE, "target = 7; model = xnb.adapters.label(model, 0)"),
    (_ATTRIBUTE, "model = torch.export.export(model, (x,))"),
    (
        _ATTRIBUTE,
        "net = nn.Sequential(nn.Dropout(), model); model = torch.export.export(net.train(), (x,)).module(); net.eval()",
    ),
    (_ATTRIBUTE, "seen = model; model = lambda x: {'out': seen(x)}"),
    (_ATTRIBUTE, "seen = model; model = lambda x: (seen(x), None)"),
    (_ATTRIBUTE, "seen = model; model = lambda x: seen(x)[:, 0]; target = 1"),
    (_ATTRIBUTE, "model = lambda x: x[:, :1].repeat(1, 3, 1, 1)"),
    (_ATTRIBUTE, "model = lambda x: x.flatten(2).transpose(1, 2).repeat(1, 1, 2)"),
    (_ATTRIBUTE, "seen = model; model = lambda x: seen(x.detach())"),
    (_ATTRIBUTE, "model = lambda x: torch.ones(len(x), 3, requires_grad=True)"),
    (_ABLATION, "seen = model; model = lambda x: seen(x).detach().numpy()"),
    (_ABLATION, "model = lambda x: x.sum((2, 3)).astype(float).repeat(2, 1)"),
    (_ABLATION, "model = lambda x: x.numpy().sum((2, 3)); target = 1"),
    (
        "xnb.attribute(model, x, target, 'integrated_gradients')",
        "seen = model; held = mask; model = lambda x: seen(x * held); net = lambda x, mask: seen(x * mask)",
    ),
    (
        "xnb.attribute_all(model, x, 'gradient')",
        "seen = model; held = mask; model = lambda x: seen(x * held); net = lambda x, mask: seen(x * mask)",
    ),
    ("with torch.inference_mode(): xnb.attribute(model, x, target, 'gradient')", ""),
    ("xnb.attribute(model, x, target, 'integrated_gradients', baseline=torch.ones(7))", ""),
    ("xnb.attribute(model, x, target, 'integrated_gradients', baseline='grey-ish')", ""),
    ("xnb.attribute(model, x, target, 'feature_ablation', regions=regions)", "regions = torch.rand(8, 8)"),
    ("xnb.attribute(model, x, target, 'feature_ablation', regions=torch.arange(3))", ""),
    ("square_grid(8, 8, 0)", "from xnb.access.regions import square_grid"),
    ("xnb.attribute(model, x, target, 'grad_cam', layer='9')", ""),
    ("xnb.attribute(model, x, target, 'grad_cam')", "seen = model; model = lambda x: seen(x)"),
    ("xnb.attribute(model, x, target, 'grad_cam')", _TABLE),
    ("xnb.attribute(model, x, target, 'grad_cam', layer='3')", ""),
    ("xnb.attribute(model, x, target, 'grad_cam', layer='0', layout='sideways')", ""),
    ("xnb.prepare(model)", "model.train()"),
    ("xnb.attribute(model, x, target, 'lrp')", "model = torch.compile(model, backend='eager')"),
    ("xnb.attribute(model, x, target, 'lrp')", "model = torch.jit.trace(model, x)"),
    (
        "xnb.attribute(model, x, target, 'lrp')",
        "seen = model; model = lambda x: seen(torch.lgamma(x + 1))",
    ),
]

_ADAPTERS = [
    (_ATTRIBUTE, "seen = model; model = xnb.adapters.logits(lambda x: {'a': seen(x), 'b': seen(x)})"),
    (_ATTRIBUTE, "model = xnb.adapters.two_classes(model); target = 1"),
    (_ATTRIBUTE, "model = xnb.adapters.label(model, 3); target = 1"),
    ("xnb.adapters.contrast(model, 1, 1)", ""),
    ("xnb.adapters.region(model, mask)", ""),
    (_ATTRIBUTE, "model = xnb.adapters.pixel(model, 0, 0)"),
    (_ATTRIBUTE, "model = xnb.adapters.pixel(lambda x: x.repeat(1, 2, 1, 1), 99, 0)"),
    (_ATTRIBUTE, "model = xnb.adapters.step(model, 0)"),
    (_ATTRIBUTE, "model = xnb.adapters.step(lambda x: x.repeat(1, 1, 1, 2).flatten(2), 99)"),
    (_ATTRIBUTE, "model = xnb.adapters.region(lambda x: x.repeat(1, 2, 1, 1), torch.ones(3, 3) > 0)"),
    (_ATTRIBUTE, "model = xnb.adapters.label(lambda x: x.repeat(1, 2, 1, 1), 0); target = 1"),
    (_ATTRIBUTE, "model = xnb.adapters.contrast(lambda x: x.repeat(1, 2, 1, 1), 0, 1); target = 1"),
    (_ATTRIBUTE, "model = xnb.adapters.box(model, (0, 0, 8, 8), 1)"),
    (_ABLATION, "model = xnb.adapters.from_numpy(lambda a: a.sum((2, 3)).repeat(2, 1) - 9, log=True)"),
    (
        _ABLATION,
        "model = xnb.adapters.from_numpy(lambda a: np.asarray(a)[:, :3], columns=['a', 'b']); x = torch.rand(4, 5)",
    ),
    (_ABLATION, "model = xnb.adapters.logits(lambda x: np.asarray(x).sum((2, 3)).repeat(2, 1))"),
    (
        "xnb.adapters.embed_tokens(model, x)",
        f"model = lambda ids: ids; x = torch.ones(2, 3).long(); ids = x; net = {_TEXT}",
    ),
    ("xnb.adapters.region(model, mask)", "mask = torch.zeros(8, 8) > 0"),
    ("xnb.adapters.box(model, (0, 1), 1)", ""),
    ("xnb.adapters.normalise(model, 'imagenet')", ""),
    ("xnb.models.layers.Standardise(std, std)", "std = 0; import xnb.models.layers"),
]

_CALLS = [
    ("xnb.attribute(model, x, target, 'gradcam')", ""),
    ("xnb.attribute(model, x, target, 3)", ""),
    ("xnb.attribute(model, x, target, 'occlusion', window=99)", ""),
    ("xnb.attribute(model, x, target, 'occlusion', window=2, stride=5)", ""),
    ("xnb.attribute(model, x, target, 'lrp', composite='zebra')", ""),
    ("xnb.attribute(model, x, target, 'integrated_gradients', steps=0)", ""),
    ("xnb.attribute(model, x, target, 'integrated_gradients', quadrature='zebra')", ""),
    ("xnb.attribute(model, x, target, 'integrated_gradients', tolerance=-1)", ""),
    ("xnb.attribute(model, x, target, 'smoothgrad', samples=0)", ""),
    ("xnb.attribute(model, x, target, 'vargrad', samples=1)", ""),
    ("xnb.attribute(model, x, target, 'expected_gradients', samples=0)", ""),
    ("xnb.attribute(model, x, target, 'rise', samples=0)", ""),
    ("xnb.attribute(model, x, target, 'rise', cells=0)", ""),
    ("xnb.attribute(model, x, target, 'rise', estimator='zebra')", ""),
    ("xnb.attribute(model, x, target, 'lime', samples=0)", ""),
    ("xnb.attribute(model, x, target, 'lime', distance='zebra')", ""),
    ("xnb.attribute(model, x, target, 'lime', width=0)", ""),
    ("xnb.attribute(model, x, target, 'lime', ridge=-1)", ""),
    ("xnb.attribute(model, x, target, 'kernel_shap', samples=0)", ""),
    ("xnb.attribute(model, x, target, 'kernel_shap', sampling='zebra')", ""),
    ("xnb.attribute(model, x, target, 'permutation_shapley', samples=0)", ""),
    ("xnb.attribute(model, x, target, 'rollout')", ""),
    ("xnb.attribute(model, x, target, 'raw_attention')", ""),
    ("xnb.attribute(model, x, target, 'leave_one_out')", ""),
    (
        "xnb.attribute(model, x, target, 'guided_backprop')",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(128, 3)).eval()",
    ),
    ("xnb.attribute(model, x, target, 'centre')", _TABLE),
    ("xnb.attribute(model, x, target, 'edges')", _TABLE),
    ("xnb.attribute(model, x, target, 'occlusion')", _TABLE),
    ("xnb.explain(model, x, target, methods=['gradiant'])", ""),
    ("xnb.explain(model, x, target, ['gradient', 'occlusion'], knobs={'occlusion': {'window': 0, 'stride': 1}})", ""),
    ("xnb.explain(model, x, target, ['rise'], knobs={'rise': {'samples': 1.5}, 'lime': {'samples': 8}})", ""),
    ("xnb.explain(model, x, target, ['occlusion'], knobs={'occlusion': {'units': (9,)}})", ""),
    ("xnb.lint(model, x)", "x = x[0]"),
]

_METRICS = [
    ("xnb.metrics.mprt(model, x, target, a, method=method)", "model = lambda x: net(x)"),
    ("xnb.metrics.deletion(model, x, target, a, steps=1)", ""),
    ("xnb.metrics.deletion(model, x, target, a, unit='zebra')", ""),
    ("xnb.metrics.deletion(model, x, target, a, impute='zebra')", ""),
    ("xnb.metrics.saco(model, x, target, a, groups=1)", ""),
    ("xnb.metrics.sensitivity_n(model, x, target, a, samples=1)", ""),
    ("xnb.metrics.faithfulness_correlation(model, x, target, a, samples=1)", ""),
    ("xnb.metrics.infidelity(model, x, target, a, samples=0)", ""),
    ("xnb.metrics.smooth_mprt(model, x, target, a, method=method, samples=0)", ""),
    ("xnb.metrics.symmetry(model, x, target, a, samples=-1)", ""),
    ("xnb.metrics.max_sensitivity(model, x, target, a, method=method, chunk=0)", ""),
    ("xnb.attribute(model, x, target, 'ablation_cam', chunk=-1)", ""),
    ("xnb.metrics.faithfulness_correlation(model, x, target, a, size=0)", ""),
    ("xnb.metrics.efficient_mprt(model, x, target, a, method=method, bins=1)", ""),
    ("xnb.metrics.mprt(model, x, target, a, method=method, similarity='zebra')", ""),
    ("xnb.metrics.max_sensitivity(model, x, target, a, method=method, radius=-1)", ""),
    ("xnb.metrics.max_sensitivity(model, x, target, a, method=method, samples=0)", ""),
]

_ROOMS = [
    ("xnb.plot.attribution(a[0], ax, limit=0)", _AXES),
    ("xnb.plot.attribution(a[0], ax, clip=0)", _AXES),
    ("xnb.plot.attribution(a[0], ax, opacity=2, under=x[0])", _AXES),
    ("xnb.plot.attribution(a[0], ax, under=x[0], underlay='zebra')", _AXES),
    ("xnb.models.ViT(size=10)", ""),
    ("xnb.models.ViT(pool='zebra')", ""),
]

_FURTHER = [
    ("xnb.plot.attribution(torch.rand(2, 3, 4, 5), ax)", _AXES),
    ("xnb.plot.attribution(a[0] / 0, ax)", _AXES),
    ("xnb.plot.attribution(a[0], ax, under=torch.rand(8))", _AXES),
    ("xnb.plot.picture(torch.rand(5, 8, 8), ax)", _AXES),
    ("xnb.plot.picture(torch.rand(3, 8, 8), ax, mean=[0.5, 0.5], std=0.5)", _AXES),
    ("xnb.plot.signal(torch.rand(2, 9), torch.rand(3, 4), ax)", _AXES),
    ("xnb.plot.tokens(['a', 'b'], torch.rand(5), ax)", _AXES),
    ("xnb.metrics.random_logit(model, x, target, a, method=method)", "model = xnb.adapters.label(net, 0); target = 1"),
    ("xnb.metrics.single_deletion(model, x, target, a, side=1)", ""),
    ("xnb.metrics.single_deletion(model, x, target, a, side=0)", ""),
    ("xnb.metrics.sensitivity_n(model, x, target, a, sizes=(0,))", ""),
    ("xnb.metrics.deletion(model, x, target, a, impute=torch.ones(7))", ""),
    ("xnb.metrics.deletion(model, x, target, a, impute=float('nan'))", ""),
    ("xnb.metrics.deletion(model, x, target, a, impute=lambda x, removed: x[:1])", ""),
    ("xnb.metrics.deletion(model, x, target, a, units=(9,))", ""),
    ("xnb.metrics.deletion(model, x, target, attribution)", "attribution = 'lrp'"),
    ("xnb.metrics.mprt(model, x, target, a)", ""),
    ("xnb.metrics.mprt(model, x, target, a, method='gradient')", ""),
    ("xnb.metrics.zebra(model, x, target, a)", ""),
    (
        "xnb.metrics.mprt(model, x, target, a, method=method, similarity='ssim')",
        "x = x[..., :4, :4]; a = a[..., :4, :4]; model = nn.Sequential(nn.Flatten(), nn.Linear(32, 3)).eval()",
    ),
    ("xnb.metrics.max_sensitivity(model, x, target, a, method=method, radius=1e-30)", ""),
    ("xnb.attribute(model, x, target, 'exact_shapley', regions=torch.arange(64).view(8, 8))", ""),
    ("xnb.attribute(model, x, target, 'rise', standard_error=-1)", ""),
    ("xnb.attribute(model, x, target, 'expected_gradients', baseline=torch.rand(0, 2, 8, 8))", ""),
    ("xnb.attribute(model, x, target, 'token_cam')", ""),
    ("xnb.models.preprocess.FASTNET(np.zeros((30, 30)))", "import xnb.models.preprocess"),
    ("xnb.models.ViT(width=10, heads=5, waves=0.2)", ""),
    ("xnb.widgets.explore(model, 3)", ""),
    ("xnb.widgets.explore(model, x, classes=['a'])", ""),
    ("pixels.to_rgb(x)", "from xnb.widgets import pixels"),
    ("xnb.metrics.deletion(model, x, target, attribution)", "attribution = a[:, :, :3]"),
    ("xnb.metrics.deletion(model, x, target, attribution)", "attribution = a / 0"),
    ("xnb.models.preprocess.FASTNET(picture)", "picture = torch.rand(3, 300, 300) * 255; import xnb.models.preprocess"),
    ("Net(in_features=9)(x)", "from xnb.models import Net"),
    ("Standardise(mean, std)(x)", "from xnb.models.layers import Standardise; mean = std = [0.5] * 3"),
    ("xnb.plot.picture(x, ax)", f"{_AXES}; x = (torch.rand(3, 8, 8) * 0.7 - 0.35) / 0.225"),
    ("xnb.prepare(model)", "model = lambda x: net(x)"),
    ("xnb.metrics.mprt(model, x, target, a, method=method)", "model = nn.Sequential(nn.Flatten(), nn.ReLU()).eval()"),
    ("xnb.metrics.grid_pointing(model, x, target, a, method=method)", "attribution = a"),
    ("xnb.metrics.grid_pointing(model, x, target, a, method=method)", f"{_TABLE}; attribution = x"),
    ("xnb.metrics.grid_pointing(model, x, target, a, method=method, side=1)", _POOLED),
    ("xnb.metrics.localisation.make_grids(x, target)", ""),
    ("xnb.metrics.localisation.make_grids(x, torch.zeros(6).long(), side=1)", "x = torch.rand(6, 7)"),
]

_FILES = (
    access_cases,
    data_cases,
    disk_cases,
    insight_cases,
    output_cases,
    method_cases,
    panel_cases,
    room_cases,
    slip_cases,
    spoilt_cases,
    scale_cases,
    store_cases,
    study_cases,
    token_cases,
)
CASES = [*_ACCESS, *_ADAPTERS, *_CALLS, *_METRICS, *_ROOMS, *_FURTHER]
CASES += [case for file in _FILES for case in file.CASES]
IN_WORDS = [case for file in _FILES for case in getattr(file, "IN_WORDS", [])]
