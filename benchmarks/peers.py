"""The other libraries, each as a function of (model, x, target) that returns a tensor."""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence

import captum.attr
import numpy as np
import pytorch_grad_cam
import shap
import torch
import torchcam.methods
import zennit.attribution
import zennit.composites
import zennit.layer
from captum._utils.models.linear_model import SkLearnRidge
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.workloads import Workload
from xnb.models.layers import Add


def captum_asks(w: Workload, kind: str, **fixed: object) -> Callable[..., Tensor]:
    """`captum.attr.<kind>(model).attribute(x, target=...)`."""

    def run(**knobs: object) -> Tensor:
        return getattr(captum.attr, kind)(w.model).attribute(w.x, target=w.target, **fixed, **knobs).detach()

    return run


def captum_noise(w: Workload, kind: str, stdevs: float, samples: int) -> Callable[..., Tensor]:
    """Captum's NoiseTunnel around the signed gradient."""

    def run(**knobs: object) -> Tensor:
        tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(w.model))
        options = {"nt_type": kind, "nt_samples": samples, "stdevs": stdevs, "abs": False}
        return tunnel.attribute(w.x, target=w.target, **options, **knobs).detach()

    return run


def captum_lime(w: Workload, **fixed: object) -> Callable[..., Tensor]:
    """Captum's LIME with the linear model of ours; its own default is a Lasso, which takes as long."""

    def run(**knobs: object) -> Tensor:
        lime = captum.attr.Lime(w.model, interpretable_model=SkLearnRidge(alpha=1.0))
        return lime.attribute(w.x, target=w.target, **fixed, **knobs).detach()

    return run


def captum_cam(w: Workload, *, resize: bool = True) -> Tensor:
    cam = captum.attr.LayerGradCam(w.model, w.model.get_submodule(w.layer))
    small = cam.attribute(w.x, target=w.target, relu_attributions=True).detach()
    return captum.attr.LayerAttribution.interpolate(small, w.x.shape[2:], "bilinear") if resize else small


def torch_cam(w: Workload, kind: str, **fixed: object) -> Callable[..., Tensor]:
    """Maps of torch-cam before it normalises them, enlarged."""

    def run(**knobs: object) -> Tensor:
        with getattr(torchcam.methods, kind)(w.model, w.layer, **fixed, **knobs) as extract:
            small = extract(w.target.tolist(), w.model(w.x), normalized=False)[0]
        return F.interpolate(small[:, None].detach(), w.x.shape[2:], mode="bilinear")

    return run


def grad_cam(w: Workload, kind: str) -> Callable[..., Tensor]:
    """Maps of pytorch-grad-cam, which are normalised to [0, 1]. Knobs are set on the object."""

    def run(**knobs: object) -> Tensor:
        layers, targets = [w.model.get_submodule(w.layer)], [ClassifierOutputTarget(int(c)) for c in w.target]
        cam = getattr(pytorch_grad_cam, kind)(model=w.model, target_layers=layers)
        vars(cam).update(knobs)
        with contextlib.redirect_stderr(io.StringIO()), cam:  # where its progress bars go
            return torch.from_numpy(cam(input_tensor=w.x, targets=targets))[:, None].to(w.x)

    return run


def as_grad_cam_shows(cam: Tensor) -> Tensor:
    """Our map normalised twice, as pytorch-grad-cam does: the first time its 1e-7 weighs on small maps."""
    return unit(unit(cam))


def unit(cam: Tensor) -> Tensor:
    cam = cam - cam.amin((2, 3), keepdim=True)
    return cam / (1e-7 + cam.amax((2, 3), keepdim=True))


class Join(nn.Module):
    """Our residual join around the module that Zennit has a rule for."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = zennit.layer.Sum()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.sum(torch.stack([a, b], -1))


def with_joins(model: nn.Module) -> nn.Module:
    """In place: every `Add` becomes Zennit's."""
    for name, module in list(model.named_modules()):
        if isinstance(module, Add):
            model.set_submodule(name, Join())
    return model


def zennit_asks(w: Workload, model: nn.Module, composite: str) -> Tensor:
    """Relevance of the target's score, or its gradient under that composite's rules."""
    head = torch.eye(w.model(w.x[:1]).shape[1], device=w.x.device)[w.target]
    with zennit.attribution.Gradient(model, getattr(zennit.composites, composite)()) as attributor:
        return attributor(w.x, lambda out: head * out if composite != "GuidedBackprop" else head)[1].detach()


def shap_kernel(w: Workload, samples: int, seed: int = 0) -> Tensor:
    """KernelExplainer of shap, each row for its own target; all features kept, as in the others."""

    def scores(rows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return w.model(torch.from_numpy(rows).to(w.x)).cpu().double().numpy()

    with preserved_seed(seed):
        explainer = shap.KernelExplainer(scores, np.zeros((1, w.x.shape[1])))
        found = explainer.shap_values(w.x.cpu().numpy(), nsamples=samples, silent=True, l1_reg=False)
    return torch.from_numpy(found)[range(len(w.x)), :, w.target.cpu()].to(w.x)


@contextlib.contextmanager
def preserved_seed(seed: int) -> Iterator[None]:
    """For libraries that draw from numpy's global generator."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def sizes(knob: str, values: Sequence[int]) -> dict[str, dict[str, int]]:
    """Settings of one batching knob, to look for the best."""
    return {f"{knob}={value}": {knob: value} for value in values}
