"""Slips of a first call, in the form of `cases`: what is no input, no target, or a model in other clothes."""

_GRADIENT = "xnb.attribute(model, x, target, 'gradient')"
_FITTED = (
    "from sklearn.linear_model import LogisticRegression; x = torch.rand(4, 6); "
    "model = LogisticRegression().fit(x.numpy(), [0, 1, 2, 0])"
)
_SET = "x = torch.utils.data.TensorDataset(x, target)"
_LOADER = f"{_SET}; x = torch.utils.data.DataLoader(x, batch_size=2)"
_PICTURE = (
    "import small_files; from PIL import Image; x = str(small_files.make_folder() / '1.png'); "
    "Image.new('RGB', (8, 8)).save(x); model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval(); target = 0"
)
_QUANTISED = (
    "import warnings; from torch.ao.quantization import quantize_dynamic; "
    "model = quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(128, 3)).eval(), {nn.Linear}, torch.qint8).eval()"
)
_LAST = "model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()"

CASES = [
    (
        "xnb.attribute(model, x, target, 'feature_ablation')",
        "model = lambda x: x.mean((1, 2)); x = torch.rand(4, 8, 8, 3); target = 0",
    ),
    (
        "xnb.attribute(model, x, target, 'occlusion', window=2)",
        "model = lambda x: x.mean((1, 2)); x = torch.rand(4, 8, 8, 3); target = 0",
    ),
    (
        "xnb.attribute(model, x, target, 'integrated_gradients', baseline='mean')",
        "model = lambda x: x.mean((1, 2)); x = torch.rand(4, 8, 8, 3); target = 0",
    ),
    (
        "receptive_field.list_windows(model, x, 'joined')",
        "import odd_models; from xnb.summary import receptive_field; "
        "model = odd_models.Shortcut().eval(); layer = 'joined'",
    ),
    (
        "xnb.attribute(model, x, target, 'rollout')",
        "import odd_models; model = odd_models.ExtraKeys().eval(); x = torch.rand(4, 5, 4)",
    ),
    (
        "xnb.attribute(model, x, target, 'token_occlusion', window=2)",
        "model = xnb.models.FeatureTransformer(features=6).eval(); x = torch.rand(4, 6); target = 0",
    ),
    ("find_axes(None, x, a)", "from xnb.metrics.units import find_axes; x = a = torch.rand(4)"),
    (
        "permuted_copy(model)",
        "from xnb.metrics.randomised_models import permuted_copy; model = net; "
        "[nn.init.ones_(p) for p in model.parameters()]",
    ),
    (
        "xnb.training.fit(net, part, part, epochs=1, progress=False, folder=folder)",
        "import small_files; from pathlib import Path; folder = small_files.make_folder() / 'run'; "
        "part = xnb.data.Part(x, target); xnb.training.fit(net, part, part, epochs=2, progress=False, folder=folder)",
    ),
    ("xnb.attribute(model, x, target, 'grad_cam')", "model = torch.jit.script(net)"),
    ("xnb.attribute(model, x, target, 'grad_cam', layer='0')", "model = torch.jit.script(net)"),
    ("xnb.attribute(model, x, target, 'ablation_cam')", "model = torch.jit.script(net)"),
    ("xnb.attribute(model, x, target, 'rollout')", "model = torch.jit.script(net)"),
    ("xnb.attribute(model, x, target, 'grad_cam', layer='0')", "model = torch.jit.trace(net, x)"),
    ("xnb.prepare(model)", "model = torch.jit.script(net)"),
    ("xnb.prepare(model)", _FITTED),
    ("xnb.prepare(model)", "model = nn.DataParallel(net)"),
    (_GRADIENT, "weights = net.state_dict(); import copy; model = copy.deepcopy(net).to('meta')"),
    (_GRADIENT, _FITTED),
    (_GRADIENT, _QUANTISED),
    ("xnb.explain(model, x, target)", _FITTED),
    ("xnb.lint(model, x)", _FITTED),
    ("xnb.attribute_all(model, x, 'feature_ablation')", _FITTED),
    ("xnb.metrics.deletion(model, x, target, x)", _FITTED),
    ("xnb.compare([model], xnb.data.Part(x, target), ['feature_ablation'], ['deletion'])", _FITTED),
    (
        "xnb.compare([model], data, ['integrated_gradients'], ['deletion'], "
        "knobs={'integrated_gradients': {'baseline': 0.5}})",
        "import warnings; from xnb.check import PromiseWarning; warnings.simplefilter('error', PromiseWarning); "
        "data = xnb.data.Part(x, target)",
    ),
    (_GRADIENT, "rows = x; x = (rows[i : i + 1] for i in range(4))"),
    (_GRADIENT, "x = [x[0].numpy(), x[1].numpy()]; target = [0, 1]"),
    (_GRADIENT, f"{_LAST}; x = [np.ones((2, 8, 8)), np.ones((2, 9, 9))]; target = 0"),
    (_GRADIENT, "x = xnb.data.Part(x, target)"),
    (_GRADIENT, _SET),
    (_GRADIENT, _LOADER),
    (_GRADIENT, _PICTURE),
    (_GRADIENT, "x = x.to_sparse()"),
    (_GRADIENT, "x = x > 0.5"),
    (_GRADIENT, "x = x.to(torch.complex64)"),
    (_GRADIENT, "x = x.numpy().astype(np.uint8)"),
    (_GRADIENT, "x = x.permute(0, 2, 3, 1)"),
    (_GRADIENT, "x[0, 0, 0, 0] = float('nan')"),
    (_GRADIENT, "target = nn.functional.one_hot(target)"),
    (_GRADIENT, "target = target[:, None]"),
    (_GRADIENT, "target = target.numpy().astype(float)"),
    (_GRADIENT, "target = 1.0"),
    (_GRADIENT, "target = []"),
    (_GRADIENT, "target = -1"),
    (_GRADIENT, "target = {0: 1}"),
    (_GRADIENT, "target = ['cat', 'dog', 'cat', 'dog']"),
]

IN_WORDS = [
    (
        "xnb.compare([model], data, {'mine': mine}, ['deletion'], knobs=knobs)",
        "data = xnb.data.Part(x, target); mine = lambda model, x, target: x; knobs = {'mine': {'zebra': 1}}",
        "knobs = {}",
    ),
    (_GRADIENT, "x = None", "x = a"),
    (_GRADIENT, "x = {'pixels': 1}", "x = a"),
]
