from . import (
    access as access,
    adapters as adapters,
    comparison as comparison,
    data as data,
    insight as insight,
    methods as methods,
    metrics as metrics,
    models as models,
    plot as plot,
    summary as summary,
    training as training,
    widgets as widgets,
)
from .access.preparation import prepare as prepare, tune_malloc as tune_malloc
from .explanation.applicability import lint as lint
from .comparison import compare as compare
from .explanation import Explanation as Explanation, attribute_data as attribute_data, explain as explain
from .methods import METHODS as METHODS, attribute as attribute, attribute_all as attribute_all, catalog as catalog
from .training import checkpoints as checkpoints
