"""Refused calls of methods, metrics and the other rooms, in the form of `cases`."""

CASES = [
    ("xnb.attribute(model, x, target, 'rise', samples=4.5)", ""),
    ("xnb.attribute(model, x, target, 'occlusion', window=1.5)", ""),
    ("xnb.attribute(lambda x: model(x) * torch.nan, x, target, 'gradient')", ""),
    ("xnb.attribute(model, x, target, 'feature_ablation', regions='squares')", ""),
    ("xnb.metrics.symmetry(model, x, target, a, share=float('nan'))", ""),
    (
        "xnb.attribute(model, x, target, 'rollout', special=(0, 0))",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'raw_attention', block=7)",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'raw_attention', head=7)",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'leave_one_out')",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'token_occlusion', window=3)",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'rollout', special=(0, 1))",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'token_cam', layer='head')",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'token_cam', layer='blocks.1')",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'edges')",
        "x = torch.rand(4, 1, 3, 3, 3, 3); model = nn.Sequential(nn.Flatten(), nn.Linear(81, 3)).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'deep_lift')",
        (
            "import odd_models; model = odd_models.Odd(lambda net, x: net.head(net.a(x)) + "
            "(x.detach() ** 2).flatten(1).sum(1, keepdim=True))"
        ),
    ),
    ("xnb.attribute(model, x, target, 'deep_lift')", "import odd_models; model = odd_models.weights_from_x()"),
    (
        "xnb.attribute(model, x, target, 'deep_lift')",
        (
            "import odd_models; model = odd_models.Odd(lambda net, x: net.head(net.a(x)) + "
            "torch.einsum('bi,bi,bi->b', x.flatten(1), x.flatten(1), x.flatten(1))[:, None])"
        ),
    ),
    (
        "xnb.attribute(model, x, target, 'lrp')",
        (
            "import odd_models; model = odd_models.Odd(lambda net, x: net.head(net.a(x)) + "
            "torch.einsum('bi,bi,bi->b', x.flatten(1), x.flatten(1), x.flatten(1))[:, None])"
        ),
    ),
    (
        "xnb.attribute(model, x, target, 'lrp')",
        "model = nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), net).eval()",
    ),
    ("xnb.metrics.deletion(model, x, target, attribution)", "attribution = None"),
    ("xnb.metrics.symmetry(model, x, target, a, share=0)", ""),
    ("xnb.methods.describe('gradcam')", ""),
    ("xnb.metrics.rank_correlation(a, b)", "a = torch.rand(4, 7, 7); b = torch.rand(4, 1, 7, 7)"),
    ("xnb.metrics.rank_correlation(a, b)", "b = a[..., :2, :2]"),
    ("xnb.metrics.top_within_one_cell(a, b)", "b = a[:2]"),
    ("xnb.metrics.top_within_one_cell(a, b)", "b = a / 0"),
    (
        "xnb.metrics.deletion(model, x, target, a, impute='blur')",
        "x = x[..., :2, :2]; a = a[..., :2, :2]; model = nn.Sequential(nn.Flatten(), nn.Linear(8, 3)).eval()",
    ),
    (
        "xnb.metrics.deletion(model, x, target, a, impute='blur')",
        "model = nn.Linear(6, 3).eval(); x = torch.rand(4, 6); a = torch.rand(4, 6)",
    ),
    (
        (
            "xnb.metrics.deletion(model, x, target, a, impute=lambda x, removed: "
            "x[None].repeat(len(removed), 1, 1, 1, 1) / 0)"
        ),
        "",
    ),
    ("xnb.metrics.max_sensitivity(model, x, target, a, method=method)", "method = lambda model, x, target: x[:1]"),
    (
        "xnb.metrics.max_sensitivity(model, x, target, attribution, method=method)",
        "method = lambda model, x, target: x.sum(1, keepdim=True)",
    ),
    ("xnb.metrics.deletion(model, x, target, a, unit='softmax')", "model = nn.Sequential(net, nn.Softmax(1)).eval()"),
    ("xnb.metrics.removal_curve(model, x, target, a, first='zebra')", ""),
    ("xnb.metrics.deletion(model, x, target, a)", "a = torch.rand(4, 2, 1, 1)"),
    (
        "xnb.metrics.deletion(model, x, target, a)",
        "x = torch.rand(4, 3, 5); a = x; model = nn.Sequential(nn.Flatten(), nn.Linear(15, 3)).eval()",
    ),
    (
        "xnb.metrics.deletion(model, x, target, a, units=(2,))",
        "x = torch.rand(4, 2, 1, 8); a = x; model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()",
    ),
    ("xnb.metrics.mprt_curve(model, x, target, a, method=method, layers=['zebra'])", ""),
    (
        "AttentionClassifier(nn.Identity(), 4, 3, pool='zebra')",
        "from xnb.models.attention_pooling import AttentionClassifier",
    ),
    ("xnb.models.ViT(size=8, patch=4, width=10, heads=4)", ""),
    (
        "Model(x)",
        (
            "from xnb.models.tabular import FeatureTransformer; Model = FeatureTransformer(features=5); x = "
            "torch.rand(2, 6)"
        ),
    ),
    ("figures.make_record(id='zebra', data={})", "from xnb.plot import figures"),
    ("figures.make_record('fig-02-1', data={'a': [b'1']})", "from xnb.plot import figures; history = {'loss': [1.0]}"),
    (
        "xnb.plot.signal(x, a, ax)",
        "from matplotlib.figure import Figure; ax = Figure().subplots(); x = a = torch.rand(2, 3, 4)",
    ),
    ("xnb.summary.from_json('{')", "from xnb import summary; table = summary.module_table(model, x)"),
    ("xnb.summary.from_json('{}')", "from xnb import summary; table = summary.module_table(model, x)"),
    (
        "right(model, data.test[:4])",
        (
            "right = xnb.training.objectives.right_reasons(1.0, 1); data = xnb.data.shapes(n=(4, 4)); model "
            "= nn.Sequential(nn.Flatten(), nn.Linear(3072, 2))"
        ),
    ),
    ("xnb.compare([model], data, ['gradient'], ['deletion'], batch=0)", "data = xnb.data.Part(x, target)"),
    ("xnb.compare([model], data, ['gradient'], ['deletion'], signs='zebra')", "data = xnb.data.Part(x, target)"),
    ("xnb.compare([model], data, ['gradient'], ['deletion'], knobs={'zebra': {}})", "data = xnb.data.Part(x, target)"),
    (
        "xnb.compare([model], data, ['gradient'], ['deletion'])",
        "Part = xnb.data.Part(x, target); data = xnb.data.Split(Part, Part, ('a', 'b', 'c'))",
    ),
    ("xnb.compare([model], data, ['gradient'], ['deletion'], images=9)", "data = xnb.data.Part(x, target)"),
    (
        "xnb.compare([model], data, ['gradient'], ['deletion'], images=[0, 0])",
        "data = xnb.data.Part(x.repeat(5, 1, 1, 1), target.repeat(5))",
    ),
    (
        "xnb.comparison.estimate_differences(table, versus='zebra')",
        "table = xnb.compare([model], xnb.data.Part(x, target), ['gradient'], ['deletion'])",
    ),
    (
        "xnb.comparison.pareto(table, 'zebra')",
        "table = xnb.compare([model], xnb.data.Part(x, target), ['gradient'], ['deletion'])",
    ),
    ("xnb.comparison.estimate_mean([1.0])", ""),
    ("xnb.comparison.estimate_mean(values)", "values = np.array([[1, 2, np.nan], [2, 3, 4]])"),
    ("xnb.comparison.estimate_mean([1, 2], level=95)", ""),
    ("xnb.comparison.estimate_mean([1, 2], power=0.1)", ""),
    ("xnb.comparison.estimate_rank_correlation([1, 2, 3], [1, 2, 3])", ""),
    (
        "xnb.plot.strip(torch.rand(3, 8, 8), {'a': a[0]}, axes)",
        "from matplotlib.figure import Figure; figure = Figure(); axes = [figure.subplots()]",
    ),
    ("widen_masks(mask[:, :1].bool(), width=-1)", "from xnb.data.shape_pictures import widen_masks"),
    ("xnb.widgets.layers(model, x, layer='zebra')", ""),
    (
        "xnb.attribute(model, x, target, 'rollout')",
        "from odd_models import *; model = transformer(Block(2), Pair(), Block(2))",
    ),
    (
        "xnb.attribute(model, x, target, 'legrad')",
        "from odd_models import *; model = transformer(Block(2), Pair(), Block(2))",
    ),
    (
        "xnb.attribute(model, x, target, 'attcat')",
        "from odd_models import *; model = transformer(Block(2, 2), Block(2, 2))",
    ),
    (
        "xnb.attribute(model, x, target, 'token_cam')",
        "from odd_models import *; model = transformer(Block(2), Block(2))",
    ),
    (
        "xnb.attribute(model, x, target, 'token_occlusion')",
        "from odd_models import *; model = transformer(Block(2), Pair(), Block(2))",
    ),
    (
        "xnb.attribute(model, x, target, 'raw_attention')",
        (
            "from odd_models import *; body = transformer(Block(2)); head = nn.Linear(3, 3); "
            "model = lambda x: head(body(x).detach())"
        ),
    ),
    ("xnb.attribute(model, x, target, 'rollout')", "seen = model; model = lambda x: seen(x).detach()"),
    ("xnb.adapters.vision_transformer(model, x)", "import odd_models; model = odd_models.Beside().eval()"),
    ("xnb.attribute(model, x, target, 'deep_lift')", "import odd_models; model = odd_models.path_by_value()"),
    ("xnb.attribute(model, x, target, 'deep_lift')", "import odd_models; model = odd_models.power_of_two_signals()"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.power_of_two_signals()"),
    ("xnb.attribute(model, x, target, 'rollout')", "import odd_models; model = odd_models.mixed_before()"),
    ("xnb.attribute(model, x, target, 'rollout')", "import odd_models; model = odd_models.rounded()"),
]
