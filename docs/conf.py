"""The web site: `make site` builds it from the executed notebooks, the docstrings and the pages of the repository.

The source folder is the repository itself, so that a link between two files is the same link here and in a checkout.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for docs/extensions/

import xnb

project = "xnb"
author = "The xnb authors"
version = release = xnb.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "extensions.cells",
    "extensions.entries",
    "extensions.reading_order",
    "extensions.local_mathjax",
    "extensions.pictures",
]

root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "notebooks/solutions.md",
    "*.md",
    "data/README.md",
    "benchmarks/README.md",
    "reproduce/README.md",
]
# A folder that is left out is not even walked through: .venv/ has more files than all pages.
exclude_patterns = [".*", "**/.*", "build", "data/cache", "docs/top", "docs/static", "docs/extensions"]

# Nothing runs: pages show what the notebooks have stored, and no widget loads a script from elsewhere.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_render_markdown_format = "myst"
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # links to headings, spelled as GitHub spells them

autodoc_member_order = "bysource"
napoleon_use_ivar = True  # attributes of a class stand in its own entry
napoleon_attr_annotations = False  # shapes have stars in them, "B *shape", which would begin emphasis
python_maximum_signature_line_length = 88  # longer signatures have one argument a line
default_role = "py:obj"  # `name` in a docstring: code, and a link where that name has an entry
toc_object_entries_show_parents = "hide"
# Signatures speak words of types.py and of torch, and docstrings put any code between backticks: not all has an entry.
nitpick_ignore_regex = [(r"py:.*", r"(?s).*")]
# Cells with a line for the shell are called Python where GitHub reads them too: coloured as far as they are.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "sphinx_book_theme"
html_title = "xnb"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_extra_path = ["top"]  # index.html, which leads to the front page
html_sourcelink_suffix = ""  # the button "download" hands out a notebook as .ipynb
html_show_copyright = False
html_theme_options = {
    "use_download_button": True,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # one search field, that of the sidebar
}
