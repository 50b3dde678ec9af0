"""MathJax out of the installed package, so that no page asks another host for it."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

from extensions import describe_extension

SCRIPT = "tex-chtml-full.js"  # with every extension of TeX inside: nothing is loaded later but fonts
FONTS = "output/chtml/fonts/woff-v2"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy the script and its fonts into the site."""
    if error:
        return
    package = Path(find_spec("mathjax").origin).parent / "static" / "mathjax" / "es5"
    folder = Path(app.outdir) / "_static" / "mathjax"
    shutil.copytree(package / FONTS, folder / FONTS, dirs_exist_ok=True)
    shutil.copy(package / SCRIPT, folder)


def setup(app: Sphinx) -> dict[str, bool | int]:
    app.config.mathjax_path = f"mathjax/{SCRIPT}"
    app.connect("build-finished", copy_mathjax)
    return describe_extension(__file__)
