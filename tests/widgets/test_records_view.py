"""Several models on one record: the same features on the same rows, shares of each model's own largest value."""

import numpy as np
import pytest
from widget_cases import PANELS

from xnb.widgets.records_view import Reason, describe_agreement, draw_reasons, order_features

SURE = Reason("sure", 0.99, np.array([0.0, 10.0, -5.0, 1.0]))
UNSURE = Reason("unsure", 0.6, np.array([-0.4, 0.1, 0.0, 0.0]))


def test_a_feature_is_shown_if_any_model_names_it():
    assert order_features([SURE, UNSURE], 3).tolist() == [0, 1, 2]  # of equals the first goes first
    assert order_features([SURE], 2).tolist() == [1, 2]
    assert order_features([Reason("blank", 0.5, np.zeros(4))], 2).tolist() == [0, 1]


def test_columns_share_their_rows_and_not_their_unit():
    fig = draw_reasons([SURE, UNSURE], list("abcd"), "ill", 3)
    assert [ax.get_title() for ax in fig.axes] == ["sure\nill 99%", "unsure\nill 60%"]
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["a", "b", "c"]
    widths = [[bar.get_width() for bar in ax.patches] for ax in fig.axes]
    assert widths == [pytest.approx([0, 1, -0.5]), pytest.approx([-1, 0.25, 0])]


def test_agreement_is_of_sizes_over_all_features():
    opposite = Reason("opposite", 0.01, -SURE.values)
    assert describe_agreement([SURE, opposite]) == ["sure and opposite 1.00"]


def test_the_panel_says_which_record_it_shows():
    panel = PANELS["records"]()
    panel.controls["record"].value = 1
    assert panel.describe() == "records: record 1, in truth malignant, integrated_gradients. Run the cell to move it."
    assert "malignant: logistic" in panel.areas["view"].value
    assert "logistic and MLP" in panel.areas["view"].value
