from . import (
    adapters as adapters,
)
from . import (
    comparison as comparison,
)
from . import (
    data as data,
)
from . import (
    methods as methods,
)
from . import (
    metrics as metrics,
)
from . import (
    models as models,
)
from . import (
    plot as plot,
)
from . import (
    summary as summary,
)
from . import (
    training as training,
)
from . import (
    widgets as widgets,
)
from .access.preparation import prepare as prepare
from .access.preparation import tune_malloc as tune_malloc
from .applicability import lint as lint
from .comparison import compare as compare
from .explanation import Explanation as Explanation
from .explanation import explain as explain
from .methods import METHODS as METHODS
from .methods import attribute as attribute
from .methods import attribute_all as attribute_all
from .methods import catalog as catalog
from .training import checkpoints as checkpoints
