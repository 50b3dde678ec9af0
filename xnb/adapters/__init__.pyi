from .black_box import from_numpy as from_numpy
from .embeddings import embed_tokens as embed_tokens
from .inputs import normalise as normalise, with_inputs as with_inputs
from .libraries import for_quantus as for_quantus, from_captum as from_captum
from .outputs import (
    contrast as contrast,
    label as label,
    logits as logits,
    regression as regression,
    two_classes as two_classes,
)
from .places import box as box, pixel as pixel, region as region, step as step
from .vision_transformers import vision_transformer as vision_transformer
