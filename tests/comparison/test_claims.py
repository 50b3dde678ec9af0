"""A claim's bar stands in a file, and the word that it earns follows from the interval."""

from datetime import date

import pytest

from xnb.comparison import Verdict, judge_estimate, judge_identity, judge_search, read_claims
from xnb.comparison.inference import Estimate

FILE = """
[attention-is-not-explanation]
sentence = "Attention weights are uncorrelated with gradient-based measures."
source = "Jain & Wallace 2019, arXiv 1902.10186"
setup = "BiLSTM on SST: Kendall's tau 0.4"
differs = "pictures of digits, one head"
side = "below"
bars = [
    {since = 2026-11-01, value = 0.4, why = "their number"},
    {since = 2026-11-20, value = 0.5, why = "rounded"},
]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(FILE)
    return path


def estimate(low, high):
    return Estimate((low + high) / 2, low, high, 0.01, 0.1)


def test_last_bar_holds_and_the_first_is_seen(file):
    claim = read_claims(file)["attention-is-not-explanation"]
    assert claim.bar == 0.5
    assert [bar.since for bar in claim.bars] == [date(2026, 11, 1), date(2026, 11, 20)]
    assert claim.source.startswith("Jain & Wallace")


@pytest.mark.parametrize(
    ("low", "high", "below"),
    [(0.1, 0.4, "SUPPORTED"), (0.6, 0.9, "REFUTED"), (0.4, 0.6, "OPEN"), (0.1, 0.5, "OPEN")],
)
def test_the_whole_interval_decides(file, low, high, below):
    claim = read_claims(file)["attention-is-not-explanation"]
    assert judge_estimate(claim, estimate(low, high)) == below


def test_the_other_side(tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(FILE.replace('"below"', '"above"'))
    claim = read_claims(path)["attention-is-not-explanation"]
    assert judge_estimate(claim, estimate(0.6, 0.9)) == Verdict.SUPPORTED
    assert judge_estimate(claim, estimate(0.1, 0.4)) == Verdict.REFUTED


def test_what_was_not_measured_is_open(file):
    claim = read_claims(file)["attention-is-not-explanation"]
    assert judge_estimate(claim, estimate(float("nan"), float("nan"))) == "OPEN"


def test_a_search_never_supports():
    assert judge_search(0) == "NOT REFUTED"
    assert judge_search(1) == "REFUTED"


def test_a_formula_is_a_theorem_or_a_fault():
    assert judge_identity(1e-9, 1e-6) == "THEOREM"
    assert judge_identity(1e-3, 1e-6) == "REFUTED"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('side = "below"', 'side = "left"', "must name the side"),
        ('side = "below"', "", "must have these entries"),
        ('side = "below"', 'side = "below"\nextra = 1', "must have these entries"),
        ("value = 0.5, ", "", "each bar of .* must have these entries"),
        ("2026-11-20", "2026-10-20", "rising order"),
    ],
)
def test_broken_files_are_refused(file, before, after, says):
    file.write_text(FILE.replace(before, after))
    with pytest.raises(ValueError, match=says):
        read_claims(file)
