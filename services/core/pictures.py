"""Bytes that somebody sent, as a picture: what it is and how large is known before anything is decoded."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from services.core.png_rows import has_all_rows
from services.core.refusals import refuse, require

# How a file of each kind begins. What a client calls it, by its name or type, is not looked at.
_BEGINNINGS = {"PNG": (b"\x89PNG\r\n\x1a\n", 0), "JPEG": (b"\xff\xd8\xff", 0), "WEBP": (b"WEBP", 8)}
_SMALLER = "a smaller copy of it, saved as PNG or JPEG"
_AGAIN = "save the picture again as PNG or JPEG, and send all of it"


@dataclass(frozen=True)
class Picture:
    """A picture that was sent, still encoded: its kind and size are known, and that it is not too large.

    Attributes:
        width, height: as its header says, before the turn that a camera noted.
    """

    content: bytes
    kind: str
    width: int
    height: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def read_header(content: bytes, most_pixels: int) -> Picture:
    """Find out what was sent and how large it is; no pixel is decoded.

    Raises:
        Refusal: 415 for what is no PNG, JPEG or WebP, 400 for a broken header, 413 for too many pixels.
    """
    kind = _find_kind(content)
    too_large = f"a picture has at most {most_pixels:,} pixels"
    try:
        with Image.open(io.BytesIO(content), formats=[kind]) as image:
            width, height = image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        refuse(413, too_large, str(error), _SMALLER)
    except Exception as error:  # a hostile header ends in many kinds of error, none of which is the service's
        refuse(400, f"the {kind} file must be whole", _describe(error), _AGAIN)
    require(width * height <= most_pixels, 413, too_large, f"{width} x {height}", _SMALLER)
    return Picture(content, kind, width, height)


def _find_kind(content: bytes) -> str:
    for kind, (beginning, start) in _BEGINNINGS.items():
        if content[start : start + len(beginning)] == beginning:
            return kind
    rule = "a picture must be PNG, JPEG or WebP, by its content"
    return refuse(415, rule, content[:12] or "an empty file", "save it as PNG or JPEG")


def decode_picture(picture: Picture) -> Image.Image:
    """The pixels, RGB and upright as the camera noted; transparency is laid on white, of several frames the first.

    Raises:
        Refusal: 400, the file is damaged or cut off.
    """
    rule = f"the {picture.kind} file must be whole"
    try:
        with Image.open(io.BytesIO(picture.content), formats=[picture.kind]) as image:
            image.verify()  # the checksums, which decoding does not look at
        whole = picture.kind != "PNG" or has_all_rows(picture.content)
        with Image.open(io.BytesIO(picture.content), formats=[picture.kind]) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
    except Exception as error:  # as above: whatever it is, the file is broken
        refuse(400, rule, _describe(error), _AGAIN)
    require(whole, 400, rule, "fewer rows than its header says", _AGAIN)
    return _convert_to_rgb(upright)


def _describe(error: Exception) -> str:
    """What Pillow found; where it knows nothing, its words name a place in memory."""
    if isinstance(error, UnidentifiedImageError):
        return "a header that cannot be read"
    return f"{type(error).__name__}: {error}"


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = _lower_depth(image)
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    return image.convert("RGB")


def _lower_depth(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits as 8 bits; Pillow would cut them off at 255."""
    deep = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.uint8((deep / 257).round().clip(0, 255)))
