"""Class activation maps beside Captum, torch-cam and pytorch-grad-cam: where they agree, and what they do otherwise."""

import pytest
import torch
from networks import with_seed
from torch import nn
from torch.nn import functional as F

from xnb.methods.cam import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam
from xnb.methods.cam_by_channel import ablation_cam, score_cam
from xnb.models.cnn import SmallCNN

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture
def pictures():
    return torch.randn(3, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def residual():
    return with_seed(lambda: SmallCNN(classes=3, widths=(4, 6, 8))).double()


def test_captum(model, x, target, residual, pictures):
    attr = pytest.importorskip("captum.attr")
    for net, inputs, c, layer in (
        (model, x, target, "1"),
        (model, x, target, "3"),
        (residual, pictures, torch.tensor([0, 1, 2]), "stage2.1.norm2"),
        (residual, pictures, torch.tensor([0, 1, 2]), "stage3"),
    ):
        theirs = attr.LayerGradCam(net, net.get_submodule(layer)).attribute(inputs, c, relu_attributions=True)
        torch.testing.assert_close(grad_cam(net, inputs, c, layer=layer, resize=False), theirs.detach(), **CLOSE)


class TestTorchCam:
    """torch-cam 0.5, which gives its maps before they are normalised."""

    @pytest.fixture(autouse=True)
    def torchcam(self):
        self.methods = pytest.importorskip("torchcam.methods")

    def theirs(self, name, model, x, target, layer):
        with getattr(self.methods, name)(model, layer) as extract:
            scores = model(x)
            return extract(target.tolist(), scores, normalized=False)[0][:, None].detach()

    @pytest.mark.parametrize(("name", "method"), [("GradCAM", grad_cam), ("LayerCAM", layer_cam)])
    def test_agrees(self, name, method, residual, pictures):
        target = torch.tensor([0, 1, 2])
        for layer in ("stage2", "stage3"):
            ours = method(residual, pictures, target, layer=layer, resize=False)
            torch.testing.assert_close(ours, self.theirs(name, residual, pictures, target, layer), **CLOSE)

    def test_score_cam_agrees_where_nothing_is_enlarged(self, model, x, target):
        ours = score_cam(model, x, target, layer="3", resize=False)
        theirs = self.theirs("ScoreCAM", model, x, target, "3")
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)

    def test_score_cam_normalises_in_the_other_order(self, residual, pictures):
        """torch-cam normalises the small mask and then enlarges it, which no longer reaches 0 and 1."""
        target = torch.tensor([0, 1, 2])
        ours = score_cam(residual, pictures, target, resize=False)
        theirs = self.theirs("ScoreCAM", residual, pictures, target, "stage3")
        difference = (ours - theirs).abs().max() / theirs.max()
        assert 1e-4 < difference < 0.1

    def test_grad_cam_plus_plus_lacks_the_denominator(self, model, x, target):
        """torch-cam divides a copy that boolean indexing makes: its alpha is the squared slope."""
        maps = model[:4](x)
        slope = torch.autograd.grad(model[4:](maps).gather(1, target[:, None]).sum(), maps)[0]
        weights = slope.relu().pow(3).sum((2, 3), keepdim=True)
        theirs = self.theirs("GradCAMpp", model, x, target, "3")
        torch.testing.assert_close(theirs, (weights * maps).sum(1, keepdim=True).relu().detach(), **CLOSE)


@pytest.mark.filterwarnings("ignore")
class TestPytorchGradCam:
    """pytorch-grad-cam 1.5, which normalises to [0, 1], enlarges in float32, and normalises again."""

    @pytest.fixture(autouse=True)
    def library(self, monkeypatch):
        self.library = pytest.importorskip("pytorch_grad_cam")
        from pytorch_grad_cam import ablation_cam, score_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        self.targets = lambda target: [ClassifierOutputTarget(int(c)) for c in target]
        for module in (ablation_cam, score_cam):
            monkeypatch.setattr(module.tqdm, "tqdm", iter)

    def theirs(self, name, model, x, target, layer):
        with getattr(self.library, name)(model=model, target_layers=[model.get_submodule(layer)]) as cam:
            return torch.tensor(cam(input_tensor=x, targets=self.targets(target)))[:, None]

    def in_their_way(self, small, side):
        def unit(cam):
            cam = cam - cam.amin((2, 3), keepdim=True)
            return cam / (1e-7 + cam.amax((2, 3), keepdim=True))

        return unit(F.interpolate(unit(small), (side, side), mode="bilinear")).float()

    @pytest.mark.parametrize(
        ("name", "method"),
        [("GradCAM", grad_cam), ("HiResCAM", hires_cam), ("LayerCAM", layer_cam), ("AblationCAM", ablation_cam)],
    )
    @pytest.mark.parametrize("layer", ["stage2", "stage3"])
    def test_agrees(self, name, method, layer, residual, pictures):
        target = torch.tensor([0, 1, 2])
        ours = self.in_their_way(method(residual, pictures, target, layer=layer, resize=False), 16)
        theirs = self.theirs(name, residual, pictures, target, layer)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=2e-6)

    def test_grad_cam_plus_plus_agrees_where_its_guard_is_small(self, model, x, target):
        """It adds 1e-6 to the denominator, which is no small number where squared slopes are 1e-3."""
        plain = self.in_their_way(grad_cam_plus_plus(model, x, target, resize=False), 6)
        assert (plain - self.theirs("GradCAMPlusPlus", model, x, target, "3")).abs().max() > 1e-5
        model[5].weight.data *= 1e3
        ours = self.in_their_way(grad_cam_plus_plus(model, x, target, resize=False), 6)
        theirs = self.theirs("GradCAMPlusPlus", model, x, target, "3")
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=2e-6)

    def test_score_cam_agrees_where_nothing_is_enlarged(self, model, x, target):
        ours = self.in_their_way(score_cam(model, x, target, layer="3", resize=False), 6)
        torch.testing.assert_close(ours, self.theirs("ScoreCAM", model, x, target, "3"), rtol=1e-6, atol=2e-6)

    def test_score_cam_agrees_but_for_the_corners(self, residual, pictures, monkeypatch):
        """It normalises after it enlarges, as we do, but from corner to corner: masks move by up to 2 pixels."""
        target = torch.tensor([0, 1, 2])
        ours = self.in_their_way(score_cam(residual, pictures, target, resize=False), 16)
        assert (ours - self.theirs("ScoreCAM", residual, pictures, target, "stage3")).abs().max() > 1e-4
        monkeypatch.setattr(nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size, mode="bilinear"))
        theirs = self.theirs("ScoreCAM", residual, pictures, target, "stage3")
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=2e-6)

    def test_ablation_of_a_layer_without_relu_is_another(self, residual, pictures):
        """Where activations are negative it puts 1e7 less in place of a channel; the paper, and we, put zero."""
        target = torch.tensor([0, 1, 2])
        ours = ablation_cam(residual, pictures, target, layer="stage3.1.norm2", resize=False)
        theirs = self.theirs("AblationCAM", residual, pictures, target, "stage3.1.norm2")
        assert (self.in_their_way(ours, 16) - theirs).abs().max() > 0.1
