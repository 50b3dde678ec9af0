"""Refused calls of attention methods and of models run by hand, in the form of `cases`."""

_VIT = "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()"
_SEQUENCE = (
    "x = torch.rand(4, 6, 8)\nclass Words(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.attention = nn.MultiheadAttention(8, 2, batch_first=True); self.head = nn.Linear(8, 3)\n"
    "    forward = lambda self, x: self.head(self.attention(x, x, x)[0].mean(1))\nmodel = Words().eval()"
)
_SHARES = "import warnings; warnings.simplefilter('error', xnb.check.PromiseWarning)"
_CUT = "from xnb.access.hooks import knock_out_attention"
_KNOCK_OUT = "with knock_out_attention(model, arrows): model(x)"
_HALVED = (
    "x = torch.rand(4, 2, 5, 8)\nclass Halved(nn.Module):\n"
    "    forward = lambda self, x: ((x @ x.mT).softmax(-1) * 0.5 @ x).sum((1, 2))\nmodel = Halved().eval()"
)

CASES = [
    ("xnb.attribute(model, x, target, 'gradient')", "model = lambda x: x.detach().flatten(1)"),
    ("xnb.attribute(model, x, target, 'rollout', patch=3)", _VIT),
    ("xnb.attribute(model, x, target, 'rollout', patch=4)", _SEQUENCE),
    ("xnb.attribute(model, x, target, 'rollout', special=(0,))", _SEQUENCE),
    ("xnb.attribute(model, x, target, 'raw_attention')", f"{_VIT}; seen = model; model = lambda x: seen(x).detach()"),
    ("xnb.attribute(model, x, target, 'integrated_gradients', steps=1)", f"{_SHARES}; model = lambda x: net(x) ** 3"),
    (
        "xnb.attribute(model, x, target, 'grad_cam', layer='0')",
        f"{_SHARES}; nn.init.constant_(net[3].weight, -1.0); nn.init.constant_(net[0].weight, 1.0)",
    ),
    (
        "xnb.attribute(model, x, target, 'grad_cam', layer='0')",
        f"{_SHARES}; nn.init.constant_(net[3].weight, 0.0)",
    ),
    ("model(x)", "from xnb.models.layers import Standardise; model = Standardise([0.5] * 2, [0.5] * 2); x = x[0]"),
    ("model(x)", "model = xnb.models.Net(in_features=128).eval(); x = x[0]"),
    (
        "model(x)",
        "from xnb.models.tabular import FeatureTransformer as Table; model = Table(features=5); x = torch.rand(5)",
    ),
    (
        "next(train_epochs(model, train, valid))",
        "from xnb.training.loop import train_epochs; train = (x, target); valid = xnb.data.Part(x, target); y = target",
    ),
    (
        "summary.module_table(model, x)",
        "from xnb import summary; model = nn.Sequential(nn.LazyLinear(3)); x = x.flatten(1)",
    ),
    (_KNOCK_OUT, f"{_VIT}; {_CUT}; arrows = torch.ones(5, 5) > 0"),
    (_KNOCK_OUT, f"{_VIT}; {_CUT}; arrows = torch.eye(4) > 0"),
    (_KNOCK_OUT, f"{_HALVED}; {_CUT}; arrows = torch.eye(5) > 0"),
    ("with knock_out_attention(model, torch.eye(5) > 0, layers=[2]): model(x)", f"{_VIT}; {_CUT}"),
]
