"""What the site adds to Sphinx: anchors of cells, entries of the API, the reading order, MathJax of its own."""

from pathlib import Path
from zlib import crc32


def describe_extension(file: str) -> dict[str, bool | int]:
    """Metadata of an extension; a change of its text makes Sphinx read every page again."""
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": crc32(Path(file).read_bytes())}
