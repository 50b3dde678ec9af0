"""Refused calls of metrics, comparison, plots, summaries and training, in the form of `cases`."""

_FIGURES = (
    "from xnb.plot import figures; import os, small_files; from matplotlib.figure import Figure; "
    "os.environ['XNB_FIGURES'] = str(small_files.make_folder()); fig = Figure()"
)
_AXES = "from matplotlib.figure import Figure; figure = Figure(); ax = figure.subplots()"
_VOLUMES = f"{_AXES}; x = torch.rand(4, 1, 4, 8, 8); a = x"
_TABLE = "table = xnb.compare([model], xnb.data.Part(x, target), ['gradient', 'lrp'], ['deletion'])"
_KNOWN = (
    "import pandas as pd; rows = [(m, 'srg', i, v + i + i**2 % 3 * e, 1, 0) for m, v, e in "
    "(('lrp', 1, 0.1), ('occlusion', 0, 0.2), ('edges', -1, 0.3)) for i in range(9)]; "
    "table = pd.DataFrame(rows, columns=['method', 'metric', 'image', 'value', 'forward', 'backward'])"
)
_STORED = (
    "import small_files; path = str(small_files.make_folder() / 'table.parquet'); data = xnb.data.Part(x, target); "
    "xnb.compare([model], data, ['gradient'], ['deletion'], path=path, knobs={'deletion': {'steps': 4}})"
)
_CLAIM = (
    "from datetime import date; from xnb.comparison.claims import Bar, Claim; "
    "claim = Claim('c', 'a sentence', 'a source', 'none', 'nothing', 'above', (Bar(date(2026, 1, 1), 0.5, 'why'),))"
)
_FIELDS = "from xnb.summary import receptive_field"
_SUMMARY = "from xnb import summary; table = summary.module_table(model, x)"
_TRAINING = "from xnb.training.loop import train_epochs; import copy; data = xnb.data.Part(x, target)"
_MASKED = (
    "inner = net\nclass Masked(nn.Module):\n    forward = lambda self, x, mask: inner(x * mask)\n"
    "net = Masked().eval(); model = xnb.adapters.with_inputs(net, mask=mask)"
)

CASES = [
    ("xnb.comparison.measure_fast_form(model, net, x, target, 'gradient', rounds=0)", ""),
    ("xnb.metrics.deletion(model, x, target, attribution)", "attribution = a + 1j"),
    ("xnb.metrics.deletion(model, x, target, a)", "model = nn.Linear(8, 3).eval(); x = a = a[0, 0, 0]; target = 0"),
    ("xnb.metrics.relevance_mass(model, x, target, a, masks=masks)", "masks = np.ones((4, 1, 8, 8))"),
    ("xnb.metrics.relevance_mass(model, x, target, a, masks=masks)", "masks = torch.ones(4, 8, 8) > 0"),
    ("xnb.metrics.relevance_mass(model, x, target, a, masks=masks)", "masks = torch.ones(8, 8) > 0"),
    ("xnb.metrics.relevance_mass(model, x, target, a, masks=masks)", "masks = torch.ones(1, 1, 8, 8) > 0"),
    ("xnb.metrics.relevance_mass(model, x, target, a, masks=masks)", "masks = torch.ones(4, 1, 16, 16) > 0"),
    ("xnb.metrics.road(model, x, target, a, unit='zebra')", ""),
    ("xnb.metrics.road(model, x, target, a, unit='as is')", ""),
    (
        "xnb.metrics.deletion(model, x, target, a)",
        "model = xnb.adapters.from_numpy(lambda a: a.sum((2, 3)).repeat(2, 1)[:, :3] / 200)",
    ),
    ("xnb.metrics.deletion(model, x, target, a)", "model = lambda x: (x.sum((2, 3)) - 0.01).log().repeat(1, 2)"),
    ("xnb.metrics.symmetry(model, x, target, a)", "model = nn.Linear(2, 3).eval(); x = a = x[:, :, 0, 0]"),
    (
        "xnb.metrics.symmetry(model, x, target, a, side=1)",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(8, 3)).eval(); x = a = x[..., :2, :2]",
    ),
    ("xnb.metrics.in_domain.fine_tune(model, data, data, epochs=0)", "data = xnb.data.Part(x, target)"),
    (
        "xnb.metrics.max_sensitivity(model, x, target, attribution, method=method)",
        "given = x; method = lambda model, x, target: x.clone() if torch.equal(x, given) else x / 0; attribution = x",
    ),
    (
        "next(cascade(model, order='zebra'))",
        "from xnb.metrics.randomised_models import cascade_randomisation as cascade",
    ),
    ("xnb.comparison.intervals(table, level=2)", _TABLE),
    ("xnb.comparison.judge_rows(claim, rows)", f"{_CLAIM}; rows = {{}}"),
    ("xnb.comparison.judge_claims(rows)", f"{_CLAIM}; rows = {{claim: {{}}}}"),
    ("xnb.comparison.pareto(table, 'deletion', better={'deletion': 'neither'})", _TABLE),
    ("xnb.comparison.advise(table, 'srg')", f"{_KNOWN}; table = table[table['method'] != 'edges']"),
    ("xnb.comparison.advise(table, 'srg')", f"{_KNOWN}; table.loc[table['method'] == 'edges', 'value'] += 2"),
    ("xnb.comparison.ranks(table)", f"{_TABLE}; table['metric'] = 'mine'"),
    ("xnb.comparison.evaluate_metrics(model, data, ['gradient'], ['srg'], draws=0)", "data = xnb.data.Part(x, target)"),
    (
        "xnb.comparison.evaluate_metrics(model, data, ['gradient'], ['srg'], iterations=0)",
        "data = xnb.data.Part(x, target)",
    ),
    (
        "xnb.comparison.evaluate_metrics(model, data, ['gradient'], ['srg'], better={'srg': 'neither'})",
        "data = xnb.data.Part(x, target)",
    ),
    ("xnb.compare([model], data, ['gradient'], ['deletion'], path=path)", _STORED),
    ("xnb.attribute(model, x, target, 'random', zebra=1)", ""),
    ("xnb.attribute(model, x, target, 'gradient')", "x = 0 * x; model = lambda x: x.sum((2, 3)).sqrt().repeat(1, 2)"),
    ("xnb.data.Part(x, y)", "y = target[:2]"),
    ("xnb.plot.attribution(a, ax)", f"{_AXES}; a = [[1, 2], [3]]"),
    ("xnb.plot.attribution(a, ax)", f"{_AXES}; a = None"),
    (
        "xnb.plot.picture(x, ax)",
        f"{_AXES}; import small_files; x = str(small_files.write_pictures({{'1.png': 8}}) / '1.png')",
    ),
    ("xnb.plot.attribution(a[0], ax, mask=mask)", _AXES),
    ("xnb.plot.attribution(a[0], ax, regions=regions)", f"{_AXES}; regions = torch.ones(4, 8, 8)"),
    ("xnb.plot.slices(x[0], a[0], figure, axis=3)", _VOLUMES),
    ("xnb.plot.slices(x[0], a[0], figure, count=0)", _VOLUMES),
    ("xnb.plot.slices(x, a, figure)", _VOLUMES),
    ("xnb.models.picture_classifier(reach=9)", ""),
    ("xnb.models.from_torchvision(model)", ""),
    ("figures.savefig(fig, 'fig-02-1', data={'a': [1.0]}, profile='zebra')", _FIGURES),
    ('summary.from_json(\'{"schema": "xnb.summary", "version": 99}\')', _SUMMARY),
    ('summary.from_json(\'{"schema": "xnb.summary", "version": 1, "layers": 3}\')', _SUMMARY),
    ('summary.from_json(\'{"schema": "xnb.summary", "version": 1, "layers": [3]}\')', _SUMMARY),
    (
        "summary.from_json(json.dumps({**known, 'layers': [{**known['layers'][0], 'name': 3}]}))",
        f"{_SUMMARY}; import json; known = json.loads(summary.to_json(table))",
    ),
    ('summary.from_json(\'{"schema": "xnb.summary", "version": 1, "layers": []}\')', _SUMMARY),
    ("receptive_field.measure_size(model, x, layer='3')", _FIELDS),
    (
        "receptive_field.effective_field(model, x, layer='1')",
        f"{_FIELDS}; model = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.ReLU()).eval(); x = -torch.ones_like(x); "
        "nn.init.ones_(model[0].weight)",
    ),
    ("receptive_field.measure_size(model, x, layer='0')", f"{_FIELDS}; x = x[..., :2, :2]; model = model[:2]"),
    (
        "receptive_field.list_windows(model, x, layer='0')",
        f"{_FIELDS}; model = nn.Sequential(nn.Conv2d(2, 3, (3, 1))).eval(); layer = '0'",
    ),
    ("next(train_epochs(model, data, data, batch=0))", _TRAINING),
    ("model(x[:2])", _MASKED),
    ("model(x)", f"{_MASKED}; model._is_replica = True"),
    (
        "xnb.attribute(model, x, target, 'grad_cam', layer='0')",
        (
            "class Swap(nn.Module):\n    forward = lambda self, x: x.transpose(1, 2)\n"
            "model = nn.Sequential(nn.Linear(8, 8), Swap(), nn.Linear(6, 6), Swap(), nn.Flatten(), nn.Linear(48, 3))"
            ".eval(); x = torch.rand(4, 6, 8)"
        ),
    ),
    (
        "xnb.attribute(model, x, target, 'grad_cam', layer='1', layout='channels_first')",
        (
            "class Swap(nn.Module):\n    forward = lambda self, x: x.transpose(0, 1)\n"
            "head = nn.Sequential(nn.Flatten(), nn.Linear(256, 3))\n"
            "model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), Swap(), Swap(), head).eval()"
        ),
    ),
    (
        "xnb.attribute(model, x, target, 'integrated_gradients', baseline='blur')",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(40, 3)).eval(); x = torch.rand(4, 5, 8)",
    ),
    (
        "xnb.attribute(model, x, target, 'kernel_shap')",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(800, 3)).eval(); x = torch.rand(4, 2, 400)",
    ),
    (
        "xnb.adapters.embed_tokens(model, ids)",
        (
            "ids = torch.ones(2, 3).long(); net = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 3))"
            "\nclass Twice(nn.Module):\n    def __init__(self):\n        super().__init__(); self.net = net\n"
            "    forward = lambda self, ids: self.net(ids) + self.net(ids)\nmodel = Twice()"
        ),
    ),
]

IN_WORDS = [
    (
        "next(train_epochs(model, data, data, batch=2, optimizer=optimizer))",
        f"{_TRAINING}; fresh = copy.deepcopy(net); optimizer = torch.optim.SGD(model.parameters(), lr=1e30)",
        "model = fresh; optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)",
    ),
    ("next(train_epochs(model, part, data))", f"{_TRAINING}; part = data[:0]", "part = data"),
    ("figures.savefig(fig, 'fig-02-1', data={'a': values})", f"{_FIGURES}; values = [1] * 30000", "values = [1]"),
    (
        "figures.savefig(fig, 'fig-02-1', data={'a': values})",
        f"{_FIGURES}; values = [1e999]",
        "values = [float('nan')]",
    ),
    (
        "figures.read_figure(path)",
        f"{_FIGURES}; path = small_files.write_bytes(b'x')",
        "figures.savefig(fig, 'fig-02-1', data={'a': [1]}); path = next(p for p in figures.folders.figure_folder()"
        ".rglob('fig-02-1.json'))",
    ),
    (
        "figures.read_figure(path)",
        f"{_FIGURES}; path = small_files.write_bytes(b'3')",
        "figures.savefig(fig, 'fig-02-1', data={'a': [1]}); path = next(p for p in figures.folders.figure_folder()"
        ".rglob('fig-02-1.json'))",
    ),
    (
        "vit(x)",
        "vit = xnb.models.ViT(size=8, channels=2, width=8, heads=2); x = x.repeat(1, 1, 2, 2)",
        "x = x[..., :8, :8]",
    ),
    (
        "xnb.compare(models, data, ['gradient'], ['deletion'])",
        "data = xnb.data.Part(x, target); models = []",
        "models = [model]",
    ),
    (
        "receptive_field.measure_size(model, x, layer='0')",
        f"{_FIELDS}; model = nn.Sequential(nn.Conv2d(2, 2, 3), nn.MaxPool2d(2, dilation=2)).eval()",
        "model[1].dilation = 1",
    ),
    (
        "registry.enter(None)(function)",
        (
            "from xnb.registry import Registry; registry = Registry('method', 'no such method')\n"
            "def function(): pass\nregistry.enter(None)(function)"
        ),
        "def another(): pass\nfunction = another",
    ),
    (
        "xnb.attribute(model, x, target, 'rollout')",
        (
            "p = 0.3; s = lambda x: x.flatten(2).transpose(1, 2)[:, None]\nmodel = lambda x: nn.functional."
            "scaled_dot_product_attention(s(x), s(x), s(x), dropout_p=p).mean((1, 2)).repeat(1, 2)"
        ),
        "p = 0.0",
    ),
]
