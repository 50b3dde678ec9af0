"""Pictures of people's own: what comes is checked before it is unpacked, and refused in words."""

import io

import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as T

from xnb.check import require

MOST_BYTES = 5_000_000
MOST_PIXELS = 40_000_000  # a large camera's picture; what claims more is not unpacked
KINDS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning)
HINT = "a smaller copy of it, saved as PNG or JPEG"


def picture(content: bytes, size: tuple[int, int], channels: int) -> Float[Tensor, "1 C H W"]:
    """An uploaded file as an input in [0, 1]: turned as the camera noted, the middle cut out at `size`.

    Raises:
        ValueError: over 5 MB, no picture of a known kind, damaged, or over 40 million pixels.
    """
    require(len(content) <= MOST_BYTES, "upload: a file holds at most 5 MB", f"{len(content) / 1e6:.1f} MB", HINT)
    opened = unpacked(content, "RGB" if channels == 3 else "L")
    framed = ImageOps.fit(opened, size[::-1], Image.Resampling.BICUBIC)
    return T.to_dtype(T.pil_to_tensor(framed)[None], torch.float32, scale=True)


def unpacked(content: bytes, mode: str) -> Image.Image:
    """The picture in a file, if it is one."""
    try:
        with Image.open(io.BytesIO(content), formats=KINDS) as image:
            sides, small = image.size, image.width * image.height <= MOST_PIXELS
            opened = ImageOps.exif_transpose(image).convert(mode) if small else None
    except BROKEN as error:
        rule = "upload: the file must be a whole PNG, JPEG, WebP, BMP or GIF"
        require(False, rule, type(error).__name__, HINT)
    require(opened is not None, "upload: a picture has at most 40 million pixels", sides, HINT)
    return opened
