"""Rows of class activation maps."""

from benchmarks.cases import Case, Peer, in_double, method, row
from benchmarks.peers import as_grad_cam_shows, captum_cam, grad_cam, sizes, torch_cam
from benchmarks.workloads import Workload

OTHER_MASKS = 0.1  # torch-cam enlarges its masks after normalising them, pytorch-grad-cam from corner to corner


@row("grad_cam", cnn32=32, resnet18=4)
def grad_cam_itself(w: Workload) -> Case:
    ours = method("grad_cam", layer=w.layer)
    peers = (
        Peer("grad-cam", grad_cam(w, "GradCAM"), {"prepared/default": 0.28}, view=as_grad_cam_shows),
        Peer("captum", lambda: captum_cam(w), {"prepared/default": 0.80}),
        Peer("torchcam", torch_cam(w, "GradCAM"), {"prepared/default": 0.80}),
    )
    return Case(ours, peers, (len(w.x), 0), referee=in_double(w, ours))


@row("hires_cam", cnn32=32)
def hires_cam(w: Workload) -> Case:
    ours = method("hires_cam", layer=w.layer)
    return Case(ours, (Peer("grad-cam", grad_cam(w, "HiResCAM"), view=as_grad_cam_shows),), (len(w.x), 0))


@row("layer_cam", cnn32=32)
def layer_cam(w: Workload) -> Case:
    ours = method("layer_cam", layer=w.layer)
    peers = (
        Peer("grad-cam", grad_cam(w, "LayerCAM"), view=as_grad_cam_shows),
        Peer("torchcam", torch_cam(w, "LayerCAM")),
    )
    return Case(ours, peers, (len(w.x), 0))


@row("grad_cam_plus_plus", cnn32=32)
def grad_cam_plus_plus(w: Workload) -> Case:
    """Without peers: pytorch-grad-cam guards its denominator with a large number, torch-cam leaves it out."""
    return Case(method("grad_cam_plus_plus", layer=w.layer), passes=(len(w.x), 0))


@row("score_cam", cnn32=8)
def score_cam(w: Workload) -> Case:
    ours = method("score_cam", layer=w.layer)
    peers = (
        Peer("grad-cam", grad_cam(w, "ScoreCAM"), settings=sizes("batch_size", (32, 64)), view=as_grad_cam_shows),
        Peer("torchcam", torch_cam(w, "ScoreCAM"), settings=sizes("batch_size", (8, 16, 64))),
    )
    return Case(ours, peers, (len(w.x) * (1 + w.channels), 0), tolerance=OTHER_MASKS)


@row("ablation_cam", cnn32=8)
def ablation_cam(w: Workload) -> Case:
    """The bare limit counts every ablation as a pass through the whole model."""
    ours = method("ablation_cam", layer=w.layer)
    settings = sizes("batch_size", (8, 16, 64))
    peer = Peer("grad-cam", grad_cam(w, "AblationCAM"), {"prepared/default": 0.02}, settings, as_grad_cam_shows)
    return Case(ours, (peer,), (len(w.x) * (1 + w.channels), 0))
