"""Explanations that can be moved, in plain ipywidgets: nothing to install in JupyterLab, Notebook 7, VS Code or Colab.

Each is a thin shell over pure functions from a state to a picture.
"""

from xnb.widgets.explore import explore as explore
from xnb.widgets.subject import contrast as contrast
