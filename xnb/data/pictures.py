"""One way to decode a picture, whether it lies in a folder or in an archive."""

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from xnb.check import refuse, require

PICTURE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what PIL raises on broken files


def decode_rgb(source: Path | BytesIO, name: str, *, upright: bool = False) -> Image.Image:
    """The RGB pixels of a picture file; grey and palette pictures become RGB, transparency is laid on white.

    Args:
        source: the file, or its bytes.
        name: the caller and the file, as an error begins.
        upright: whether the turn that a camera noted in EXIF is applied, as a mask beside the picture has none.

    Raises:
        ValueError: the file is damaged, no picture, or deeper than 8 bits a channel.
    """
    try:
        with Image.open(source) as picture:
            picture.load()
            if upright:
                ImageOps.exif_transpose(picture, in_place=True)
    except PICTURE_ERRORS as error:
        what = f"{type(error).__name__}: {error}"
        refuse(f"{name} must be a picture", what, "remove the file, or bring it again")
    shallow = not picture.mode.startswith(("I", "F"))  # PIL would cut these off at 255 without a word
    require(shallow, f"{name} must have 8 bits a channel", picture.mode, "scale it to 0..255 and store it again")
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    return picture.convert("RGB")
