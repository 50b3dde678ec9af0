"""All methods share one signature, `method(model, x, target, *, knobs) -> Attribution`, and no state."""

# Importing a file enters its methods in the registry; the order is that of `xnb.catalog()`.
from xnb.methods import (
    attention as attention,
    cam as cam,
    masking as masking,
    controls as controls,
    deep_lift as deep_lift,
    attention_flow as attention_flow,
    gradient as gradient,
    smoothing as smoothing,
    integrated_gradients as integrated_gradients,
    occlusion as occlusion,
    rules as rules,
    shapley as shapley,
    tokens as tokens,
)
from xnb.methods.calls import attribute as attribute, attribute_all as attribute_all
from xnb.methods.registry import METHODS as METHODS, catalog as catalog
