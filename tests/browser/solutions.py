"""Answers to the exercises, by notebook: what stands in place of the lines that say None."""

SOLUTIONS = {
    "00": """
colour, sign = 0.25, -1
side = next(side for side in range(128, 224, 16) if drops(side, 16).max() >= 1)
""",
    "01": """
parameters = 3 * 16 * 25 + 16
widths = (8, 16, 32)
field = receptive_field.measure_size(models.SmallCNN(widths=widths).eval(), torch.zeros(1, 3, 128, 128), "stage3")[0]
position = 3
""",
    "02": """
rate, guess, loss = 0.1, 0.1, 50
""",
    "03": """
cheapest = "deep_lift"
samples = 1024
def mine(model, x, target):
    return xnb.attribute(model, x, target, "integrated_gradients", baseline=GREY) ** 3
""",
    "04": """
lost = 0.5
def contributions(net, x, target):
    weights, tokens = read_attention(net, x)
    return torch.einsum("bn,bnd,bd->bn", weights, tokens, net.head.weight[target])
pool = lambda h, e: (e.sigmoid()[:, None] * h).sum(0)
""",
    "05": """
weights_used = 4 * 4 * (16**2 + 1) ** 2
one_head = torch.eye(4, dtype=torch.bool).view(4, 1, 4, 1, 1)
costly_head = max(range(4), key=lambda h: float(drop(vits[0], arrows_to(sees, class_token) & one_head[h], [3]).mean()))
def contrast(net, x, own, other):
    return xnb.attribute(net, x, own, "token_occlusion") - xnb.attribute(net, x, other, "token_occlusion")
""",
    "06": """
patients = 99
step = (torch.arange(30) == everyone.features.index("worst area")).float()
zero, one_more = (float(logits(nets["logistic"][0], few[[torn]] + k * step)) for k in (0, 1))
shift = -zero / (one_more - zero)
def shares(net, x):
    with torch.no_grad(), hooks.capture_outputs(net, "pool.softmax", "embed") as outputs:
        net(x)
    weights, tokens = outputs["pool.softmax"], outputs["embed"]
    w = net.head.weight[0] - net.head.weight[1]
    return weights.flatten(1) * (tokens @ w)
""",
    "07": """
expected = (0.125, 0.125)
flat = masks.flatten(1)
dots = torch.zeros(flat.shape).scatter(1, flat.long().argmax(1, keepdim=True), 1.0).view(masks.shape)
def disguised(model, x, target):
    a = xnb.attribute(model, x, target, "edges")
    return a * (2 * (torch.rand_like(a) < 0.5) - 1)
""",
    "08": """
rows = estimate_differences(table, "gradient").set_index(["method", "metric"])
better_by = round(rows.loc[("occlusion", "srg"), "mean"], 2)
lucky = "max_sensitivity"
def mixed(net, x, y):
    total = 0
    for name in ("occlusion", "kernel_shap"):
        a = xnb.attribute(net, x, y, name, baseline="mean", **KNOBS.get(name, {})).sum(1, keepdim=True)
        total = total + a / a.abs().amax((1, 2, 3), keepdim=True)
    return total / 2
""",
    "09": """
bar_of_steps = np.ceil(10 * 5 * 2 ** comparison.estimate_mean(VALUES["claim-09-steps", "the map, 300 steps"]).high) / 10
def draw_again(means):
    again = [means[:, list(rows)].mean(1) for rows in itertools.product(range(3), repeat=3)]
    return np.quantile(again, [0.025, 0.975], axis=0)
import itertools
low, high = draw_again(np.random.default_rng(1).standard_normal((4000, 3)))
called = 20 * np.mean((low > 0) | (high < 0))
def telescope(net, x, y, n):
    share = x.abs() / x.abs().sum((1, 2, 3), keepdim=True)
    total = torch.zeros_like(x)
    for k in range(n):
        step = score(net, x * (k + 1) / n, y) - score(net, x * k / n, y)
        total += share * step[:, None, None, None]
    return total
""",
    "10": """
complete_kinds, share_that_pays = {"nobias", "neither"}, 0.5
def mine(model, part):
    marks = part.parts == 2
    return training.cross_entropy(model, data.Part(torch.where(marks, GREY, part.x), part.y))
""",
    "11": """
smallest = "blur"
rather_cat = adapters.contrast(net, 281, 285)
""",
    "12": """
smaller = keras_side.load("cnn", convert.Conversion(epsilon=1e-4))
change = study.judge_conversion(smaller, own)["largest change of a logit"]
below = True
""",
    "13": """
limit = 4_000_000
def gap_of(answer):
    change = answer["target"]["logit"] - answer["baseline_output"]
    a = read_map(answer).double()
    return abs(float(a.sum()) - change) / max(abs(change), 0.01 * float(a.abs().sum()))
""",
    "14": """
values = [2, 2, 2]
midpoints = next(n for n in range(8, 61) if gap(relu, steps=n, quadrature="midpoint").median() < 0.01)
def twins(z):
    return z.amax(1, keepdim=True)
""",
    "16": """
tokens_needed = 6 * 48 + 1
attention_share = 2 * 197 / (12 * 768 + 2 * 197)
def change(x):
    return F.pad(x, (4, 0, 4, 0), mode="replicate")[..., :32, :32]
""",
    "17": """
bar = math.floor(100 * TABLE["claim-17-road", "linear less mean"]["low"]) / 100
called = 1.0
mine = explain_ig
""",
    "18": """
area_by_lot = 0.5
rank = max(k for k in range(1, 20) if operating_point.sensitivity_law(389, k).sf(0.97) >= 0.95)
def is_misled(net):
    crossed, scattered = ((logits(net, mark_bags(mark, 0)) > 0).sum() for mark in ("a cross", "scattered pixels"))
    return bool(crossed > 2 * scattered)
""",
    "15": """
apart_by = np.log(2) / 2
other_three = (0.45, 0.0, 0.55)
combine = lambda maps: maps.mean(0)
""",
    "20": """
of_cnns = ofsrg["CNN"]
ahead = estimate_differences(of_cnns, "lrp").set_index("method").loc["occlusion", "mean"]
three = estimate_differences(of_cnns[of_cnns["model"] < 3], "lrp").set_index("method").loc["occlusion"]
width = three["high"] - three["low"]
def correlate(metric):
    return without["CNN", "metric"][metric].corr(without["Transformer", "metric"][metric], method="spearman")
left_out = max(METRICS, key=correlate)
""",
    "21": """
shift = (rank_methods("deletion", 0) - rank_methods("deletion", 1)).abs()
moves_most = shift.idxmax()
costs = torch.stack(drops).mean((0, 2))
dearest = PARTS[int(costs.argmax())], round(float(costs.max()), 1)
chances = 1 / 9, 0
""",
    "22": """
most_helpful = int(truth[0][0].argmax())
def cosines(train, test):
    rows = [F.normalize(part.x.flatten(1), dim=1) for part in (test, train)]
    return rows[0] @ rows[1].T
def self_influence(net, part):
    g = influence.example_gradients(net, part)
    curvature = influence.gauss_newton(net, part)
    curvature.diagonal().add_(PENALTY)
    return (g * torch.linalg.solve(curvature, g.T).T).sum(1) / len(part)
""",
    "23": """
finds_it = min(needed, key=lambda name: needed[name].mean())
def undo(x):
    return torch.where(x != part.x, part.x, x)
moved = ill.x[:1] + 2 * torch.eye(ill.x.shape[1])
riskiest = records.features[int(logits(doctors[0], moved)[:, 0].argmax())]
""",
    "19": """
half = (2 * 1 + 2 * 1) / (2 + 1 + 2 + 1)
def judge(row):
    return "same sign" if row["published"] * row["ours"] > 0 else "another sign"
dataset = "Diabetes"
""",
}
