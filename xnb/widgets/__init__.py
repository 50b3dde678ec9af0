"""Explanations that can be moved, in plain ipywidgets: nothing to install in JupyterLab, Notebook 7, VS Code or Colab.

Each is a thin shell over pure functions from a state to a picture. Where no kernel runs, its last picture stays.
"""

from xnb.widgets.attention import attention as attention
from xnb.widgets.explore import explore as explore
from xnb.widgets.layers import layers as layers
from xnb.widgets.perturb import perturb as perturb
from xnb.widgets.side_by_side import side_by_side as side_by_side
from xnb.widgets.subject import contrast as contrast
from xnb.widgets.watch import watch as watch
