"""Pictures that a person uploads: a file is checked before it is decoded, and refused in words."""

import io

import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as T

from xnb.check import refuse, require

_MAX_BYTES = 5_000_000
_MAX_PIXELS = 40_000_000  # a large camera's picture; what claims more is not decoded
_IMAGE_KINDS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
# What Pillow raises for files that are damaged or no pictures.
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_SMALLER_COPY = "a smaller copy of it, saved as PNG or JPEG"


def decode_upload(content: bytes, size: tuple[int, int], channels: int) -> Float[Tensor, "1 C H W"]:
    """Turn an uploaded file into an input in [0, 1]: upright as the camera noted, the middle cut out at `size`.

    Raises:
        ValueError: over 5 MB, no picture of a known kind, damaged, or over 40 million pixels.
    """
    megabytes = f"{len(content) / 1e6:.1f} MB"
    require(len(content) <= _MAX_BYTES, "upload: a file holds at most 5 MB", megabytes, _SMALLER_COPY)
    image = _decode_image(content, "RGB" if channels == 3 else "L")
    height, width = size
    framed = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    batch = T.pil_to_tensor(framed)[None]
    return T.to_dtype(batch, torch.float32, scale=True)


def _decode_image(content: bytes, mode: str) -> Image.Image:
    """Decode the picture in a file, if it is one and not too large."""
    decoded = None
    try:
        with Image.open(io.BytesIO(content), formats=_IMAGE_KINDS) as image:
            sides = image.size  # known from the file's head, before any pixel is decoded
            if image.width * image.height <= _MAX_PIXELS:
                decoded = ImageOps.exif_transpose(image).convert(mode)
    except _DECODING_ERRORS as error:
        rule = "upload: the file must be a whole PNG, JPEG, WebP, BMP or GIF"
        refuse(rule, type(error).__name__, _SMALLER_COPY)
    if decoded is None:
        refuse("upload: a picture has at most 40 million pixels", sides, _SMALLER_COPY)
    return decoded
