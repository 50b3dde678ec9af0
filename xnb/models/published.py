"""Published networks of CIFAR-10 with their authors' weights."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xnb.check import find_entry, require
from xnb.models.cifar_joining import densenet, googlenet
from xnb.models.cifar_lenet import lenet
from xnb.models.cifar_residual import padded_resnet, preactivation_resnet, projecting_resnet
from xnb.models.layers import Standardise
from xnb.models.published_files import Source, find_or_download, list_places, read_state

Channels = tuple[float, float, float]


class Project(NamedTuple):
    """Whose weights they are, and how the pictures were normalised in training.

    Attributes:
        origin: repository, commit and folder.
        url: of that folder.
        folder: below the folder of published files.
        licence: of the weights.
        mean: of each channel, of pixels in [0, 1].
        std: deviation of each channel.
    """

    origin: str
    url: str
    folder: str
    licence: str
    mean: Channels
    std: Channels


class Published(NamedTuple):
    """A network of CIFAR-10, its file, and the share of test pictures that it classifies rightly, in percent.

    Attributes:
        make: builds it, with random weights.
        name: of the file.
        project: whose weights they are.
        sha256: sum of the file.
        exact: of the first 1,017 test pictures, whose pixels are those that were published; standard error about 0.9.
        jpeg: of all 10,000, as a popular copy has them in JPEG.
    """

    make: Callable[[], nn.Module]
    name: str
    project: Project
    sha256: str
    exact: float
    jpeg: float

    @property
    def file(self) -> str:
        """The file below the folder of published files."""
        return f"{self.project.folder}/{self.name}"

    @property
    def source(self) -> Source:
        """Where the file comes from, and what it must be."""
        url = f"{self.project.url}/{self.name}"
        return Source(self.sha256, self.project.licence, self.project.origin, url)


_RAW = "https://raw.githubusercontent.com"
_AKAMASTER = Project(
    "github.com/akamaster/pytorch_resnet_cifar10, commit d5489e8995e8, pretrained_models/",
    f"{_RAW}/akamaster/pytorch_resnet_cifar10/d5489e8995e8/pretrained_models",
    "weights/akamaster",
    "BSD-2-Clause",
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)
_UVADLC = Project(
    "github.com/phlippe/saved_models, commit e38faed1ab83, tutorial5/",
    f"{_RAW}/phlippe/saved_models/e38faed1ab83/tutorial5",
    "weights/uvadlc",
    "MIT",
    (0.4914, 0.4822, 0.4465),
    (0.2470, 0.2435, 0.2616),
)
_CAPTUM = Project(
    "github.com/pytorch/captum, commit faac08773131, captum/insights/attr_vis/models/",
    f"{_RAW}/pytorch/captum/faac08773131/captum/insights/attr_vis/models",
    "weights/captum",
    "BSD-3-Clause",
    (0.5, 0.5, 0.5),
    (0.5, 0.5, 0.5),
)

PUBLISHED = {
    "akamaster-resnet20": Published(
        partial(padded_resnet, 3),
        "resnet20-12fca82f.th",
        _AKAMASTER,
        "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
        exact=91.64,
        jpeg=81.03,
    ),
    "akamaster-resnet32": Published(
        partial(padded_resnet, 5),
        "resnet32-d509ac18.th",
        _AKAMASTER,
        "d509ac1820d7f25398913559d7e81a13229b1e7adc5648e3bfa5e22dc137f850",
        exact=92.82,
        jpeg=82.56,
    ),
    "akamaster-resnet44": Published(
        partial(padded_resnet, 7),
        "resnet44-014dd654.th",
        _AKAMASTER,
        "014dd6541728a1c700b1642ab640e211dc6eb8ed507d70697458dc8f8a0ae2e4",
        exact=93.41,
        jpeg=82.67,
    ),
    "akamaster-resnet56": Published(
        partial(padded_resnet, 9),
        "resnet56-4bfd9763.th",
        _AKAMASTER,
        "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367",
        exact=92.72,
        jpeg=83.20,
    ),
    "uvadlc-resnet": Published(
        projecting_resnet,
        "ResNet.ckpt",
        _UVADLC,
        "c16348ee82a12444310bd9953f8cbe50d3654657ca76f6eb54e116714ce52a1a",
        exact=90.76,
        jpeg=82.54,
    ),
    "uvadlc-preact": Published(
        preactivation_resnet,
        "ResNetPreAct.ckpt",
        _UVADLC,
        "4ab71bf72ec58b72f800f5cec4822f1f25e2c47ca4cdc6eecc328d0681baf376",
        exact=91.45,
        jpeg=82.22,
    ),
    "uvadlc-googlenet": Published(
        googlenet,
        "GoogleNet.ckpt",
        _UVADLC,
        "5453bd5d90d8547ca9d3639e8f07246c081fb3790382f6ea124642cad9b6b3d5",
        exact=89.97,
        jpeg=81.87,
    ),
    "uvadlc-densenet": Published(
        densenet,
        "DenseNet.ckpt",
        _UVADLC,
        "43c8506c9562f000e13b21f2417bad5a44acce37949fd4d55b3596fc2da2e684",
        exact=89.97,
        jpeg=81.28,
    ),
    "captum-lenet": Published(
        lenet,
        "cifar_torchvision.pt",
        _CAPTUM,
        "228d8332085282b6d2626d1b1b1b17944c760507d9b0cabe318dc6b108acf6e9",
        exact=59.49,
        jpeg=58.42,
    ),
}


def load_published(name: str, folder: str | Path | None = None) -> nn.Sequential:
    """Return a published network of CIFAR-10, in evaluation mode, for pictures of 32 x 32 with pixels in [0, 1].

    Its first module, `normalise`, is the normalisation of its training; `network` is the network. Classes are in the
    order of the data set: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck. The network is written
    anew here, every operation a module of its own, and only the weights are the authors'.

    Share of test pictures that are classified rightly, in percent, measured here: of 1,017 pictures with the pixels
    that were published, and of all 10,000 as a popular copy has them in JPEG. What was trained on the one loses on the
    other, so take exact pictures (`xnb.data.cifar10`) before you explain a mistake.

        name                parameters  exact   JPEG
        akamaster-resnet20     269,722  91.64  81.03
        akamaster-resnet32     464,154  92.82  82.56
        akamaster-resnet44     658,586  93.41  82.67
        akamaster-resnet56     853,018  92.72  83.20
        uvadlc-resnet          272,378  90.76  82.54
        uvadlc-preact          272,250  91.45  82.22
        uvadlc-googlenet       260,650  89.97  81.87
        uvadlc-densenet        239,146  89.97  81.28
        captum-lenet            62,006  59.49  58.42

    The file is taken from `folder`, else from below the folder that the variable `XNB_PUBLISHED` names, else from the
    cache, else downloaded into the cache from the commit that `PUBLISHED` names. It is checked against its SHA-256 sum,
    and read without running code from it.

    Args:
        name: of the table above.
        folder: holds the file under its published name.

    Raises:
        ConnectionError: the file is not on disk and cannot be downloaded.
        ValueError: an unknown name, or a file that is another one than was published.
    """
    published = find_entry(PUBLISHED, name, "load_published: no published network of that name")
    path = _find_state(published, folder)
    with torch.random.fork_rng(devices=[]):  # random weights that are overwritten; the caller's draws stay as they are
        network = published.make()
    fill_in_order(network, read_state(path))
    normalise = Standardise(published.project.mean, published.project.std)
    return nn.Sequential(OrderedDict(normalise=normalise, network=network)).eval()


def _find_state(published: Published, folder: str | Path | None) -> Path:
    places = list_places(published.file)
    if folder is not None:
        places = [Path(folder) / published.name, Path(folder) / published.file, *places]
    return find_or_download(places, published.source)


def fill_in_order(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put published tensors into a network of other names, one after the other.

    Both sides declare their layers from the input up, so the order is the same; a shape that differs is refused.

    Raises:
        ValueError: another number of tensors, or a tensor of another shape.
    """
    own = _leave_out_counters(network.state_dict())
    published = _leave_out_counters(state)
    shapes = [[tuple(tensor.shape) for tensor in tensors.values()] for tensors in (own, published)]
    rule = f"published: the weights must have the shapes of {type(network).__name__}"
    hint = "a file of the same architecture, its layers in the order from the input up"
    require(shapes[0] == shapes[1], rule, _find_first_difference(own, published), hint)
    for place, tensor in zip(own.values(), published.values(), strict=True):
        place.copy_(tensor)  # a state shares its memory with the network


def _leave_out_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All but the numbers of batches that norms have seen: older files lack them, and evaluation does not read them."""
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def _find_first_difference(own: Mapping[str, Tensor], published: Mapping[str, Tensor]) -> object:
    for (name, mine), (other, theirs) in zip(own.items(), published.items(), strict=False):
        if mine.shape != theirs.shape:
            return f"{name} {tuple(mine.shape)}, {other} {tuple(theirs.shape)}"
    return f"{len(own)} tensors, {len(published)} published"
