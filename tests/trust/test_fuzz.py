"""Every public function on networks, inputs and knobs that nobody thought of: right, or refused with a way out.

Cases are drawn by the date: the seed stands in the name of each test, and `XNB_FUZZ_SEED=738000 pytest
tests/trust/test_fuzz.py` draws the same again. `make fuzz CASES=50000` draws more. What was found stands in
`test_fuzz_found.py`.
"""

import os
from collections import Counter
from datetime import UTC, datetime
from math import ceil

import pytest
from fuzz_cases import SUBJECTS, draw_case
from fuzz_judge import NO_CASE, judge
from hypothesis import HealthCheck, Phase, assume, given, seed, settings

SEED = int(os.environ.get("XNB_FUZZ_SEED", datetime.now(UTC).date().toordinal()))
CASES = int(os.environ.get("XNB_FUZZ_CASES", "5000"))
EACH = ceil(CASES / len(SUBJECTS))
LEAST = min(20, EACH // 3) if EACH >= 30 else 0  # answers of each subject; the first few cases are the plainest
FOUND = {}  # what became of the cases of each subject
ASKED = "XNB_TRUST" in os.environ or "XNB_FUZZ_CASES" in os.environ
pytestmark = pytest.mark.skipif(not ASKED, reason="`make fuzz` and `make trust` draw cases, for minutes")


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: f"{SEED}-{subject}")
def test_every_case_is_right_or_refused_with_a_way_out(subject, tally, as_users_run):
    outcomes = FOUND[subject] = Counter()

    @seed(SEED)
    @settings(
        max_examples=EACH,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(draw_case(subject))
    def try_case(case):
        outcome = judge(case)
        assume(outcome != NO_CASE)
        outcomes[outcome] += 1

    try_case()
    for outcome, number in outcomes.items():
        tally(outcome, number)
    assert count_answers(outcomes) >= LEAST, f"{subject}: a fuzz that is nearly always refused shows little: {outcomes}"


def count_answers(outcomes):
    return sum(number for outcome, number in outcomes.items() if outcome.split(",")[0] in ANSWERS)


ANSWERS = {"equal to the reference", "held by the plain form", "answered"}


def test_more_than_half_of_all_cases_are_answered():
    if FOUND.keys() != {*SUBJECTS}:
        pytest.skip("all subjects together tell it")
    total = sum(FOUND.values(), Counter())
    assert count_answers(total) > total.total() / 2, total
