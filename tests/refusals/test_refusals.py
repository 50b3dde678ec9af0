"""The `try:` line of a refusal works as pasted: every call with a hint is triggered and its line is run.

`cases` holds the calls that are refused. A hint that no case reaches stands in `untried.txt`, which may only shrink.
"""

import warnings
from pathlib import Path

import pytest
from call_sites import find_site, list_sites
from cases import CASES
from try_lines import follow_hint, refuse

SITES = list_sites()
UNTRIED = Path(__file__).with_name("untried.txt")


@pytest.fixture(scope="module", autouse=True)
def as_users_run_all():
    """The package's own refusals, not those of the shape checks."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(("call", "setup"), CASES)
def test_the_line_to_try_works_as_pasted(call, setup):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scope, refusal = refuse(setup, call)
        assert refusal is not None, "the call is no longer refused: take the case out or mend it"
        assert refusal.hint, f"no line to try in: {refusal.error!r}"
        names = refusal.hint.startswith("one of ")  # by check.find_entry, which has no line of its own
        assert names or find_site(refusal.error, SITES), f"not refused by a call with a hint: {refusal.error!r}"
        follow_hint(scope, call, refusal.hint)


def list_reached():
    """Names of the calls with a hint that some case reaches."""
    reached = set()
    for call, setup in CASES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, refusal = refuse(setup, call)
        site = refusal and find_site(refusal.error, SITES)
        reached |= {site.name} if site else set()
    return reached


def test_every_hint_has_a_case():
    """A new refusal comes with the call that it refuses."""
    untried = set(UNTRIED.read_text().split("\n")) - {""}
    names = {site.name for site in SITES}
    reached = list_reached()
    missing = sorted(names - reached - untried)
    places = {site.name: f"xnb/{site.path}:{site.first}" for site in SITES}
    lines = [f"{name} ({places[name]})" for name in missing]
    assert not missing, "add to tests/refusals/cases.py a call that is refused at: " + "; ".join(lines)
    stale = sorted(untried & reached | untried - names)
    assert not stale, f"take out of tests/refusals/untried.txt what is tried, or no more: {stale}"
