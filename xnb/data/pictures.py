"""One way to decode a picture, whether it lies in a folder or in an archive."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from xnb.check import require

UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what PIL raises on broken files


def rgb(source: Path | BytesIO, name: str) -> Image.Image:
    """RGB of a picture file; grey and palette pictures become RGB, transparency is laid on white.

    The turn that a camera notes in EXIF is not applied, as in torchvision.

    Args:
        source: the file, or its bytes.
        name: who asks, and for which file: the beginning of an error.

    Raises:
        ValueError: the file is damaged, no picture, or deeper than 8 bits a channel.
    """
    try:
        with Image.open(source) as picture:
            picture.load()
    except UNREADABLE as error:
        what = f"{type(error).__name__}: {error}"
        require(False, f"{name} must be a picture", what, "remove the file, or bring it again")
    shallow = not picture.mode.startswith(("I", "F"))  # PIL would cut these off at 255 without a word
    require(shallow, f"{name} must have 8 bits a channel", picture.mode, "scale it to 0..255 and store it again")
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    return picture.convert("RGB")
