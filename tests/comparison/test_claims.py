"""A claim's bar stands in a file, and the word that it earns follows from the interval."""

from datetime import date

import numpy as np
import pytest

from xnb.comparison import (
    Estimate,
    Verdict,
    adjust_holm,
    estimate_mean,
    judge_claims,
    judge_estimate,
    judge_identity,
    judge_rows,
    judge_search,
    read_claims,
)

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


@pytest.fixture
def claim(file):
    """Below 0.5."""
    return read_claims(file)["attention-is-not-explanation"]


def estimate(low, high):
    return Estimate((low + high) / 2, low, high, 0.01, 0.1)


def test_last_bar_holds_and_the_first_is_seen(file):
    claim = read_claims(file)["attention-is-not-explanation"]
    assert claim.name == "attention-is-not-explanation"
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
        ('side = "below"', 'side = "below"\nname = "other"', "must have these entries"),
        ("value = 0.5, ", "", "each bar of .* must have these entries"),
        ("2026-11-20", "2026-10-20", "rising order"),
    ],
)
def test_broken_files_are_refused(file, before, after, says):
    file.write_text(FILE.replace(before, after))
    with pytest.raises(ValueError, match=says):
        read_claims(file)


def around(mean, seed=0):
    """Differences of 8 trainings and 20 inputs with exactly this mean; an interval is some 0.07 wide on each side."""
    rng = np.random.default_rng(seed)
    values = 0.05 * rng.normal(size=(8, 1)) + 0.2 * rng.normal(size=(8, 20))
    return mean + values - values.mean()


class TestRows:
    def test_estimate_and_test_are_those_of_the_mean_and_of_its_distance_from_the_bar(self, claim):
        rows = {"low": around(0.2), "high": around(0.8, 1), "near": around(0.48, 2)}
        found = judge_rows(claim, rows).table.set_index("row")
        assert list(found["verdict"]) == ["SUPPORTED", "REFUTED", "OPEN"]
        assert all(type(word) is Verdict for word in found["verdict"])
        for name, values in rows.items():
            here, beside = estimate_mean(values), estimate_mean(values - 0.5)
            assert list(found.loc[name, ["mean", "low", "high"]]) == list(here[:3])
            assert list(found.loc[name, ["p_value", "detectable"]]) == list(beside[3:])
        assert list(found["p_holm"]) == list(adjust_holm(found["p_value"]))
        assert set(found["bar"]) == {0.5}

    def test_the_bar_is_tested_and_not_zero(self, claim):
        """Far from 0, and on the bar."""
        [row] = judge_rows(claim, {"all": around(0.5)}).table.to_dict("records")
        assert row["p_value"] > 0.99
        assert row["verdict"] == "OPEN"

    def test_an_interval_beside_the_bar_is_open_among_many_rows(self, claim):
        """Alone its p-value is below 0.05; Holm takes it eight times, as of eight rows it is the clearest."""
        values = around(0.45)
        assert estimate_mean(values).high < 0.5
        [alone] = judge_rows(claim, {"this": values}).table.to_dict("records")
        assert alone["verdict"] == "SUPPORTED"
        others = {f"other {seed}": around(0.5, seed) for seed in range(1, 8)}
        found = judge_rows(claim, {"this": values} | others).table.set_index("row")
        assert found.loc["this", "p_holm"] == pytest.approx(8 * alone["p_value"])
        assert set(found["verdict"]) == {"OPEN"}

    def test_rows_of_several_claims_are_corrected_together(self, claim, tmp_path):
        path = tmp_path / "other.toml"
        path.write_text(FILE.replace("[attention-is-not-explanation]", "[other]").replace('"below"', '"above"'))
        other = read_claims(path)["other"]
        rows = {claim: {"a": around(0.45)}, other: {"a": around(0.5, 1), "b": around(0.9, 2)}}
        found = judge_claims(rows).table
        assert list(found["claim"]) == ["attention-is-not-explanation", "other", "other"]
        assert list(found["p_holm"]) == list(adjust_holm(found["p_value"]))
        assert found["verdict"].iloc[2] == "SUPPORTED"

    def test_values_that_are_all_on_the_bar_are_open(self, claim):
        [row] = judge_rows(claim, {"equal": np.full((3, 4), 0.5)}).table.to_dict("records")
        assert row["verdict"] == "OPEN"

    def test_refusals(self, claim):
        with pytest.raises(ValueError, match=r"one row or more(?s:.*)try: rows = "):
            judge_rows(claim, {})
        with pytest.raises(ValueError, match=r"each claim is judged by one row or more(?s:.*)try: rows = "):
            judge_claims({claim: {}})
        with pytest.raises(ValueError, match="must be finite"):
            judge_rows(claim, {"a": [0.1, np.nan, 0.2]})
        with pytest.raises(ValueError, match="two values or more"):
            judge_rows(claim, {"a": [0.1]})


class TestLines:
    @pytest.fixture
    def found(self, claim):
        return judge_rows(claim, {"low": around(0.2), "near": around(0.48, 2)})

    def test_a_line_a_row(self, found):
        low, near = str(found).splitlines()
        assert low.startswith("attention-is-not-explanation · low: 0.20 [")
        assert low.endswith("] SUPPORTED, bar 0.5, adjusted p 0.000")
        p, seen = found.table["p_holm"][1], found.table["detectable"][1]
        assert near.endswith(f"] OPEN, bar 0.5, adjusted p {p:.3f}, could have seen {seen:.2f} from it")
        assert f"{found}" == str(found)

    def test_another_size(self, found):
        _, near = f"{found:+.1f}".splitlines()
        assert "near: +0.5 [+0.4, +0.5] OPEN" in near
        assert near.endswith("could have seen 0.1 from it")
