"""The lines that make each widget: in a notebook that a browser opens, and in the process of the tests."""

SETUP = """
import torch, xnb
from xnb import checkpoints, data, models, widgets
torch.manual_seed(0)
net, split = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 12), seed=1)
vit, bagged = models.ViT().eval(), models.bag_classifier().eval()
"""
WIDGETS = {
    "explore": "widgets.explore(net, split)",
    "side_by_side": "widgets.side_by_side(net, split)",
    "attention": "widgets.attention(vit, split)",
    "bags": "widgets.attention(bagged, data.bags('positive_negative', n=(0, 8)))",
    "layers": "widgets.layers(net, split)",
    "perturb": "widgets.perturb(net, split)",
    "watch": "widgets.watch(models.SmallCNN(3, 6, widths=(4, 4, 8)), data.shapes(n=(960, 60)), epochs=8)",
}
