"""Bags: instances by their evidence.

Tests: xnb.widgets.bags
"""

import numpy as np
import torch
from networks import with_seed
from widget_cases import PANELS, small_bags

import xnb
from xnb.models import bag_classifier
from xnb.widgets.bags import instance_evidence
from xnb.widgets.explained import prepare_subject


def test_evidence_of_instances_is_the_methods():
    net = with_seed(bag_classifier)
    values = instance_evidence(prepare_subject(net, small_bags()), 1, 0, "leave_one_out")
    x = small_bags().test.x[1:2]
    attribution = xnb.attribute(net, x, torch.tensor([0]), "leave_one_out")
    np.testing.assert_allclose(values, attribution.flatten(2).sum(2)[0], rtol=1e-4)


def test_instances_stand_in_the_order_of_their_evidence():
    panel = PANELS["attention of bags"]()
    values = panel.evidence()
    assert (np.diff(values[panel.order(values)]) <= 0).all()
    assert "in truth" in panel.areas["view"].value
