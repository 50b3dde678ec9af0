"""A file of claims with one claim in it: that a method beats noise."""

TEXT = """
[{name}]
sentence = "It beats noise."
source = "this test"
setup = "none"
differs = "nothing"
side = "above"
bars = [{{since = 2026-11-30, value = 0.0, why = "no difference"}}]
"""


def write_claim(folder, name):
    """Write the file, `claims.toml`, and return its path."""
    path = folder / "claims.toml"
    path.write_text(TEXT.format(name=name))
    return path
