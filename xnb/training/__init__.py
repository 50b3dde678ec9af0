"""Training: the loop as a generator, objectives beside being right, and the trained networks that notebooks load."""

import lazy_loader

from xnb.training.data_parallel import Training as Training
from xnb.training.launching import fit_elastic as fit_elastic
from xnb.training.loop import (
    Augment as Augment,
    Epoch as Epoch,
    Objective as Objective,
    Schedule as Schedule,
    cosine as cosine,
    cross_entropy as cross_entropy,
    evaluate as evaluate,
    fit as fit,
    train_epochs as train_epochs,
    warmup_cosine as warmup_cosine,
)
from xnb.training.right_answers import mark_right as mark_right

# Loaded at first use: checkpoints bring the data sets and models that they were trained on.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=["checkpoints", "cifar10", "objectives"])
