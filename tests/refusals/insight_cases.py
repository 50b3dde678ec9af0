"""Refused calls of `xnb.insight` and of what it stands on, in the form of `cases`."""

_PART = "part = xnb.data.Part(torch.rand(12, 4), torch.arange(12) % 3)"
_NET = f"model = net = xnb.models.Net(4, (5,), 3).eval(); {_PART}"
_INFLUENCE = f"from xnb.insight import influence; {_NET}"
_INSIDE = f"from xnb.insight import inside; {_NET}"
_COUNTER = "from xnb.insight import counterfactuals; import xnb.models"
_PICTURES = (
    f"{_COUNTER}; net = xnb.models.plain_cnn().eval(); x = torch.rand(2, 3, 16, 16); goal = torch.tensor([0, 1])"
)
_RECORDS = f"{_COUNTER}; {_NET}; x = part.x[:2]; goal = torch.tensor([0, 1]); records = part.x"
_EDIT = "from xnb.data.shape_pictures import ShapeEdit"
_CONCEPT = f"{_INSIDE}; x = part.x; target = part.y; concept = part.x[:6]; random_sets = [part.x]"
_WEIGHTS = f"{_INFLUENCE}; weights = torch.ones(2, 12)"
_MAKE = "make = lambda seed: xnb.models.Net(4, (5,), 3).eval()"

CASES = [
    ("ShapeEdit(form='star')", _EDIT),
    ("ShapeEdit(colour=(2.0, 0.0, 0.0))", _EDIT),
    ("counterfactuals.change_pixels(net, x - 1, goal, span=(0.0, 1.0))", _PICTURES),
    ("counterfactuals.change_pixels(net, x, goal, steps=0)", _PICTURES),
    ("counterfactuals.count_swapped(net, x, other, goal, x)", f"{_PICTURES}; other = torch.rand(2, 3, 8, 8)"),
    ("counterfactuals.change_records(net, x, goal, records, fixed=[0, 1, 2, 3])", _RECORDS),
    ("counterfactuals.rank_distance(x, records, neighbours=12)", _RECORDS),
    ("influence.trac_in(model, part, part, parameters=['tail'])", _INFLUENCE),
    ("influence.trac_in(model, part, part)", f"{_INFLUENCE}; model.requires_grad_(False)"),
    ("influence.trac_in(model, part, part)", f"{_INFLUENCE}; model = []"),
    ("influence.trac_in(model, part, part)", f"{_INFLUENCE}; model = nn.Flatten(); model.eval()"),
    ("influence.trac_in([net], part, part, rates=[1.0, 2.0])", _INFLUENCE),
    ("influence.influence_functions(net, part, part, damping=0.0)", _INFLUENCE),
    ("influence.influence_functions(net, part, part)", f"{_INFLUENCE}; net = xnb.models.Net(4, classes=3).eval()"),
    ("influence.trak(model, part, part)", f"{_INFLUENCE}; model = []"),
    ("influence.trak(net, part, part, size=0)", _INFLUENCE),
    ("influence.representer_points(net, part, part, layer='relu1', damping=0.0)", _INFLUENCE),
    ("influence.draw_subsets(3, 6, share=1.0)", _INFLUENCE),
    ("influence.train_many(make, part, weights, seeds=[0], steps=1)", f"{_WEIGHTS}; {_MAKE}"),
    (
        "influence.train_many(make, part, weights, seeds=[0, 0], steps=1)",
        f"{_WEIGHTS}; make = lambda seed: nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)).eval()",
    ),
    ("inside.measure_unit(net, part.x, 'relu1', unit=9)", _INSIDE),
    ("inside.fit_probe(part.x, y, part.x, part.y)", f"{_INSIDE}; y = part.y * 0"),
    ("inside.fit_probe(part.x, part.y, part.x, part.y, repeats=0)", _INSIDE),
    ("inside.measure_preservation(space, plane)", f"{_INSIDE}; space = part.x; plane = space[:5]"),
    ("inside.measure_preservation(part.x, part.x, neighbours=12)", _INSIDE),
    ("inside.compare_concept(net, x, target, 'relu1', concept, random_sets)", _CONCEPT),
    ("inside.remove_direction(direction)", f"{_INSIDE}; direction = torch.zeros(4)"),
    ("inside.fit_sparse_code(part.x, count=0)", _INSIDE),
    ("inside.fit_sparse_code(part.x, 2, sparsity=-1.0)", _INSIDE),
    ("inside.factor_features(features, 2)", f"{_INSIDE}; features = part.x - 1"),
]
