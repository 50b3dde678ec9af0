"""Explanations that can be moved, in plain ipywidgets: nothing to install in JupyterLab, Notebook 7, VS Code or Colab.

Each is a thin shell over pure functions from a state to a picture. Where no kernel runs, its last picture stays.
`xnb.widgets.panel.Panel` says how to write another one.
"""

from xnb.widgets.attention_view import attention as attention
from xnb.widgets.explorer import explore as explore
from xnb.widgets.layer_view import layers as layers
from xnb.widgets.perturbation import perturb as perturb
from xnb.widgets.methods_view import side_by_side as side_by_side
from xnb.widgets.records_view import records as records
from xnb.widgets.rows_view import rows as rows
from xnb.widgets.training_view import watch as watch
from xnb.widgets.verdict_view import judge as judge
