"""The lines that make each widget: in a notebook that a browser opens, and in the process of the tests."""

SETUP = """
import torch, xnb
from xnb import checkpoints, data, models, widgets
torch.manual_seed(0)
net, split = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 12), seed=1)
vit, bagged = models.ViT().eval(), models.bag_classifier().eval()
import pandas as pd
names = ["gradient", "occlusion"]
table = pd.DataFrame({"srg": [0.5, 1]}, names)
maps = {name: xnb.attribute(net, split.test.x, split.test.y, name) for name in names}
from datetime import date
from xnb.comparison.claims import Bar, Claim
bars = (Bar(date(2026, 1, 1), 0.5, "a reason"),)
claims = {k: Claim(k, "A sentence.", "a source", "none", "nothing", "above", bars) for k in ("higher", "lower")}
from torchvision.models import resnet50
large = resnet50().eval()
values = {"higher": torch.rand(8, 20) + 0.2, "lower": torch.rand(8, 20) - 0.2}
"""
WIDGETS = {
    "explore": "widgets.explore(net, split)",
    "side_by_side": "widgets.side_by_side(net, split)",
    "attention": "widgets.attention(vit, split)",
    "bags": "widgets.attention(bagged, data.bags('positive_negative', n=(0, 8)))",
    "layers": "widgets.layers(net, split)",
    "perturb": "widgets.perturb(net, split)",
    "watch": "widgets.watch(models.SmallCNN(3, 6, widths=(4, 4, 8)), data.shapes(n=(960, 60)), epochs=8)",
    "rows": "widgets.rows(table, maps, split.test)",
    "judge": "widgets.judge(values, claims)",
    "photographs": "widgets.explore(large, data.photos(224), method='grad_cam')",
    "records": "widgets.records({str(k): checkpoints.load(f'mlp-patients-{k}') for k in range(2)}, data.patients())",
}
