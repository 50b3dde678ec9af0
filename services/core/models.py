"""The model that a service explains: FastNet, or one of one's own that an import path names."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

import torch
from PIL.Image import Image
from torch import Tensor, nn

from xnb import adapters
from xnb.check import refuse, require
from xnb.metrics.output_units import Link
from xnb.models import FASTNET, IMAGENET_CLASSES, FastNet, Preprocess

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_LONGEST_SIDE = 4  # times the short one; beyond, a strip would become a huge picture when its short side is resized


@dataclass(frozen=True)
class ServedModel:
    """A classifier, and how a picture becomes its input.

    Attributes:
        name: as addresses say it, `/v1/models/{name}`.
        model: in evaluation mode; of pictures in [0, 1], so that what it sees can be shown. `adapters.normalise` takes
            a normalisation into the model.
        classes: their names, one a logit; of one logit z there are two, with the logits -z and z.
        read: from an RGB picture to an input `(1, C, H, W)` in [0, 1].
        unit: of the probabilities: "softmax", "sigmoid" (labels that do not exclude each other), "as is" where the
            model states them, or "probability", which is softmax or as is, as the model shows.
    """

    name: str
    model: nn.Module
    classes: tuple[str, ...]
    read: Callable[[Image], Tensor]
    unit: Link = "probability"

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over names, shapes, types and values of all parameters and buffers, in the order of the names."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            # a view as bytes, for any type of number
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @cached_property
    def parameters(self) -> int:
        return sum(value.numel() for value in self.model.parameters())


def load_fastnet() -> ServedModel:
    """FastNet with its ImageNet weights, for the middle square of a picture at 224 x 224 pixels."""
    model = adapters.normalise(FastNet.pretrained(), FASTNET.mean, FASTNET.std)
    # as FastNet was trained, but for the normalisation, which is the model's first step
    frame = Preprocess(FASTNET.resize, FASTNET.crop, (0.0,) * 3, (1.0,) * 3, FASTNET.interpolation)
    return ServedModel("fastnet", model, IMAGENET_CLASSES, lambda image: frame(cut_strip(image)).clamp(0, 1))


def cut_strip(image: Image) -> Image:
    """The middle of a picture whose sides differ more than four to one; any other as it is."""
    width, height = image.size
    most = _LONGEST_SIDE * min(width, height)
    wide, tall = min(width, most), min(height, most)
    left, top = (width - wide) // 2, (height - tall) // 2
    return image.crop((left, top, left + wide, top + tall))


def find_loader(path: str) -> Callable[[], ServedModel]:
    """The function that loads the model: `load_fastnet`, or the one that `package.module:function` names.

    Raises:
        ValueError: there is no such module or function.
    """
    if not path:
        return load_fastnet
    module_name, _, function_name = path.partition(":")
    hint = "XNB_SERVE_MODEL=services.core.models:load_fastnet"
    require(bool(module_name and function_name), "XNB_SERVE_MODEL: package.module:function", path, hint)
    found = None
    problem = "no function of that name"
    try:
        found = getattr(import_module(module_name), function_name, None)
    except ImportError as error:
        problem = str(error)
    require(callable(found), "XNB_SERVE_MODEL: there must be such a function", f"{path}: {problem}", hint)
    return found  # type: ignore[return-value]


def check_served(served: object) -> ServedModel:
    """Refuse what a loader returned if it cannot be served."""
    hint = "return ServedModel(name, model.eval(), classes, read)"
    if not isinstance(served, ServedModel):
        refuse("XNB_SERVE_MODEL: the function must return a ServedModel", type(served).__name__, hint)
    named = _NAME.fullmatch(served.name) is not None
    require(named, "XNB_SERVE_MODEL: a name of small letters and digits", served.name, 'name="my-model"')
    return served
