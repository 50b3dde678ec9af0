"""Calls of widgets, and of what they draw on, that are refused with a line to try.

`IN_WORDS` are those whose line says in words what to do: the call, what is run before it, and what was meant.
"""

_EXPLORE = "xnb.widgets.explore(model, x)"
_TABLE = "model = nn.Linear(6, 3).eval(); x = torch.rand(4, 6)"
_COLOURS = "model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval(); x = torch.rand(4, 3, 4, 4)"
_EMBEDDED = "model = nn.Sequential(nn.Flatten(), nn.Linear(30, 3)).eval(); x = torch.rand(4, 5, 6)"
_MEASURE = "measure_size(model, x, layer='1')"
_MEASURED = "from xnb.summary.receptive_field import measure_size"
_UPLOAD = "xnb.widgets.upload.decode_upload(content, (8, 8), 3)"
_CLAIMS = (
    "from datetime import date; from xnb.comparison.claims import Bar, Claim;"
    "bars = (Bar(date(2026, 1, 1), 0.5, 'why'),);"
    "claims = {'a': Claim('a', 'a sentence', 'a source', 'none', 'nothing', 'above', bars)}"
)
_SMALL = "import small_files; content = (small_files.write_pictures({'1.png': 8}) / '1.png').read_bytes()"
_LARGE = "import io; from PIL import Image; file = io.BytesIO(); Image.new('L', (6400, 6400)).save(file, 'PNG')"

CASES = [
    ("xnb.widgets.explore(model, x, mean=[0.5, 0.5], std=0.25)", _COLOURS),
    ("xnb.widgets.explore(model, x, mean=0.5, std=[0.5, 0.5])", _COLOURS),
    (_EXPLORE, f"{_COLOURS}; x = x * 255"),
    (_EXPLORE, f"{_COLOURS}; mean = std = [0.5, 0.4, 0.3]; x = xnb.widgets.colours.normalise_colours(x, mean, std)"),
    ("xnb.widgets.perturb(model, x)", f"{_COLOURS}; mean = std = 0.5; x = (x - mean) / std"),
    ("xnb.widgets.layers(model, x)", "seen = model; model = lambda x: seen(x)"),
    ("xnb.widgets.attention(model, x)", "seen = model; model = lambda x: seen(x)"),
    (_EXPLORE, "x = x[:0]"),
    (
        "xnb.widgets.explore(model, data)",
        "model = xnb.models.bag_classifier().eval(); data = xnb.data.bags('positive_negative', n=(0, 2))",
    ),
    (_EXPLORE, "x = x.view(4, 1, 2, 2, 4, 8); seen = model; model = lambda x: seen(x.view(-1, 2, 8, 8))"),
    (_EXPLORE, "x = torch.rand(4); model = lambda x: torch.stack([x, 1 - x], 1)"),
    ("xnb.widgets.explore(model, x, upload=True)", ""),
    (
        "xnb.widgets.explore(model, x, upload=True)",
        "x = x[:, :1]; both = lambda x, mask: net((x * mask).repeat(1, 2, 1, 1));"
        "model = xnb.adapters.with_inputs(both, mask=mask[:, :1]).eval()",
    ),
    ("xnb.widgets.explore(model, x, words=[['a', 'b']] * 4)", _EMBEDDED),
    ("xnb.widgets.explore(model, x, words=[['a', 'b']] * 4)", ""),
    ("xnb.widgets.layers(model, x)", _TABLE),
    ("xnb.widgets.side_by_side(model, x)", _TABLE),
    ("xnb.widgets.records({'one': model}, x)", _COLOURS),
    (
        "xnb.widgets.rows(table, maps, xnb.data.Part(x[:, :1], target))",
        "import pandas as pd; maps = {'lrp': a}; table = pd.DataFrame({'srg': [1.0, 2.0]}, ['lrp', 'rise'])",
    ),
    (
        "xnb.widgets.judge(values, claims)",
        f"{_CLAIMS}; values = {{'a': np.random.rand(8, 5), 'b': np.random.rand(8, 5)}}",
    ),
    ("xnb.widgets.judge(values, claims)", f"{_CLAIMS}; values = {{'a': np.random.rand(5)}}"),
    ("xnb.widgets.perturb(model, x)", _TABLE),
    ("xnb.widgets.explore(model, x, unit='zebra')", ""),
    ("xnb.widgets.explore(model, x, unit='as is')", ""),
    ("xnb.widgets.explore(model, x, method='rollout')", ""),
    ("xnb.widgets.attention(model, x)", "model = xnb.models.FeatureTransformer(6, 3).eval(); x = torch.rand(4, 6)"),
    ("xnb.widgets.attention(model, x)", ""),
    (
        _MEASURE,
        f"{_MEASURED}; model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Flatten()); x = torch.rand(1, 2, 8, 8)",
    ),
    (
        _MEASURE,
        f"{_MEASURED}; model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Threshold(1.0, 0.0)); x = torch.rand(1, 2, 8, 8)",
    ),
    (
        _MEASURE,
        f"{_MEASURED}; model = nn.Sequential(nn.Conv2d(2, 4, 5), nn.Conv2d(4, 3, 5)); x = torch.rand(1, 2, 9, 9)",
    ),
]
IN_WORDS = [
    (_UPLOAD, "content = bytes(6_000_000)", _SMALL),
    (_UPLOAD, "content = b'no picture'", _SMALL),
    (_UPLOAD, f"{_LARGE}; content = file.getvalue()", _SMALL),
]
