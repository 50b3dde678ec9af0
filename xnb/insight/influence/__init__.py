"""Which training inputs made an answer: each one's influence on the loss, or the logit, of each test input."""

from xnb.insight.influence.gradients import example_gradients as example_gradients
from xnb.insight.influence.influence_function import (
    gauss_newton as gauss_newton,
    influence_functions as influence_functions,
)
from xnb.insight.influence.many_trainings import ManyNetworks as ManyNetworks, train_many as train_many
from xnb.insight.influence.neighbours import nearest_inputs as nearest_inputs
from xnb.insight.influence.registry import INFLUENCES as INFLUENCES, catalog as catalog
from xnb.insight.influence.representers import representer_points as representer_points
from xnb.insight.influence.retraining import leave_inputs_out as leave_inputs_out
from xnb.insight.influence.subsets import draw_subsets as draw_subsets, score_subsets as score_subsets
from xnb.insight.influence.checkpoint_products import trac_in as trac_in
from xnb.insight.influence.projected_features import trak as trak
