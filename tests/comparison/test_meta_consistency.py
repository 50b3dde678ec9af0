"""Meta-consistency in closed form: of a metric that is right, one that sees nothing, one that is noise, a wrong one."""

import numpy as np
import pytest
from scipy import stats

from xnb.comparison import MetaConsistency, PerturbedScores, estimate_meta_consistency
from xnb.comparison.meta_consistency import compute_p_values, count_equal_ranks, count_worse_scores

METHODS, INPUTS, DRAWS = 4, 12, 3


@pytest.fixture
def scores():
    return np.random.default_rng(0).random((METHODS, INPUTS))


def perturb(values, counts=None):
    """The same scores in every draw, unless they have an axis of draws of their own."""
    values = np.broadcast_to(values, (DRAWS, METHODS, INPUTS)).copy()
    all_count = np.ones((DRAWS, INPUTS), dtype=bool)
    return PerturbedScores(values, all_count if counts is None else counts)


class TestMetaConsistency:
    def test_an_ideal_metric(self, scores):
        """Mild noise leaves all, strong noise costs every input: 1, 1 - 2^(1 - n), 1, 1."""
        worse = scores - 1 - np.random.default_rng(1).random(scores.shape)
        found = estimate_meta_consistency(scores, perturb(scores), perturb(worse), better="higher")
        assert found[1:] == pytest.approx((1, 1 - 2.0 ** (1 - INPUTS), 1, 1))
        assert found.mc == pytest.approx(np.mean(found[1:]))
        assert found.mc > 0.999

    def test_one_that_sees_nothing_has_half(self, scores):
        found = estimate_meta_consistency(scores, perturb(scores), perturb(scores), better="higher")
        assert found == MetaConsistency(mc=0.5, iac_nr=1, iac_ar=0, iec_nr=1, iec_ar=0)

    def test_one_that_is_constant_has_half(self):
        """All methods share one rank, which stays."""
        same = np.full((METHODS, INPUTS), 0.3)
        assert estimate_meta_consistency(same, perturb(same), perturb(same), better="lower").mc == 0.5

    def test_one_that_is_noise_has_what_chance_gives(self):
        """Half of each p-value, a rank in m, half of the losses: (1.5 + 1/4) / 4 = 0.4375."""
        rng = np.random.default_rng(0)
        found = []
        for _ in range(60):
            before, mild, strong = rng.random((3, METHODS, INPUTS))
            found.append(estimate_meta_consistency(before, perturb(mild), perturb(strong), better="higher"))
        assert np.mean(found, axis=0) == pytest.approx([0.4375, 0.5, 0.5, 0.25, 0.5], abs=0.05)

    def test_one_that_likes_what_strong_noise_makes(self, scores):
        """It reacts, in the wrong direction: 1, nearly 1, 1 and 0."""
        found = estimate_meta_consistency(scores, perturb(scores), perturb(scores + 1), better="higher")
        assert found[1:] == pytest.approx((1, 1, 1, 0), abs=1e-2)

    def test_the_better_end_is_heeded(self, scores):
        found = estimate_meta_consistency(-scores, perturb(-scores), perturb(1 - scores), better="lower")
        assert found.iec_ar == 1

    def test_no_input_counts(self, scores):
        """Strong noise that changes no prediction is not strong: nothing can be said of reactivity, nor of the mean."""
        nobody = np.zeros((DRAWS, INPUTS), dtype=bool)
        found = estimate_meta_consistency(scores, perturb(scores), perturb(scores, nobody), better="higher")
        assert np.isnan([found.mc, found.iac_ar, found.iec_ar]).all()
        assert (found.iac_nr, found.iec_nr) == (1, 1)

    def test_a_shift_too_small_to_matter_costs_all_of_mild_iac(self):
        """Of 200 inputs, all lower by 1e-9, Wilcoxon is sure; the ranks do not move."""
        before = np.random.default_rng(0).random((METHODS, 200))
        after = PerturbedScores((before - 1e-9)[None], np.ones((1, 200), dtype=bool))
        found = estimate_meta_consistency(before, after, after, better="higher")
        assert found.iac_nr < 1e-6
        assert found.iec_nr == 1


class TestParts:
    def test_p_values_are_wilcoxons(self, scores):
        moved = scores + np.random.default_rng(1).normal(size=scores.shape)
        found = compute_p_values(scores, perturb(moved))
        theirs = [stats.wilcoxon(*pair).pvalue for pair in zip(scores, moved, strict=True)]
        assert found == pytest.approx(np.broadcast_to(theirs, (DRAWS, METHODS)))

    def test_inputs_that_do_not_count_are_left_out(self, scores):
        counts = np.arange(INPUTS) < 6
        moved = np.where(counts, scores, scores + 100)
        perturbed = perturb(moved, np.broadcast_to(counts, (DRAWS, INPUTS)))
        assert (compute_p_values(scores, perturbed) == 1).all()
        assert (count_equal_ranks(scores, perturbed) == 1).all()
        assert (count_worse_scores(scores, perturbed, "lower") == 0).all()

    def test_two_methods_that_change_places(self, scores):
        """Two of four methods keep their rank on every input."""
        order = scores.argsort(0)
        swapped = scores.copy()
        first, second = order[0], order[1]
        columns = np.arange(INPUTS)
        swapped[first, columns], swapped[second, columns] = scores[second, columns], scores[first, columns]
        assert count_equal_ranks(scores, perturb(swapped)) == pytest.approx(0.5)

    def test_ties_share_their_rank(self):
        tied = np.zeros((METHODS, INPUTS))
        apart = np.arange(METHODS)[:, None] + tied
        assert count_equal_ranks(tied, perturb(apart)) == pytest.approx(0)
        assert count_equal_ranks(tied, perturb(tied)) == pytest.approx(1)

    def test_what_has_no_value_is_left_out(self, scores):
        """One method has no value on the first input: ranks there are open, its own score does not count."""
        after = scores - 1
        after[0, 0] = np.nan
        assert np.isfinite(compute_p_values(scores, perturb(after))).all()
        assert count_worse_scores(scores, perturb(after), "higher") == pytest.approx(1)
        assert count_equal_ranks(scores, perturb(after)) == pytest.approx(1)
