"""Pieces of HTML."""

import numpy as np
import pytest
from widget_cases import images_in

from xnb.widgets import markup


def test_a_link_holds_the_picture():
    rgb = np.random.default_rng(0).integers(0, 255, (6, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(images_in(markup.image_html(rgb, "alt"))[0], rgb)


@pytest.mark.parametrize(
    "html",
    [
        markup.message_html("<b>"),
        markup.bars_html(["<b>"], [0.5]),
        markup.table_html("<b>", {"<b>": "<b>"}),
        markup.code_html("<b>", [])[3:],
        markup.note_html("<b>"),
        markup.reasons_html({"<b>": "<b>"}).replace("<b>&lt;b&gt;</b>", ""),
    ],
    ids=["message", "bars", "table", "code", "note", "reasons"],
)
def test_words_in_a_page_are_escaped(html):
    assert "<b>" not in html


def test_reasons_stand_behind_the_name_once_and_in_their_lines():
    html = markup.reasons_html({"rollout": "rollout: no attention\n  got: 'none'\n  try: lrp"})
    assert "<b>rollout</b>: no attention\n  got: &#x27;none&#x27;\n  try: lrp<" in html
    assert "white-space:pre-wrap" in html


def test_quotes_in_a_description_are_escaped():
    assert 'alt="&quot;"' in markup.image_html(np.zeros((1, 1, 3), dtype=np.uint8), '"')


def test_bars_say_what_changed():
    html = markup.bars_html(["a", "b"], [0.5, 0.25], before=[0.75, 0.25])
    assert "-25.0%" in html
    assert "±0" in html
    assert "±0" not in markup.bars_html(["a", "b"], [0.5, 0.25])


def test_a_curve_goes_from_the_lower_left_corner_to_the_upper_right():
    assert 'points="0.0,120.0 256.0,0.0"' in markup.curves_html("head", {"curve": [0, 1]}, alt="", below="")


def test_pieces_stand_side_by_side_or_below_one_another():
    for lay_out, direction in ((markup.row_html, "flex-wrap:wrap"), (markup.column_html, "flex-direction:column")):
        html = lay_out("<p>a</p>", "<p>b</p>")
        assert "<p>a</p><p>b</p></div>" in html
        assert direction in html
