"""The `try:` line of a refusal works as pasted: every call with a hint is triggered and its line is run.

`cases` holds the calls that are refused. A hint that no case reaches stands in `untried.txt`, with the reason.
"""

import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from call_sites import find_site, list_sites
from cases import CASES, IN_WORDS
from originals import serve_originals
from try_lines import follow_hint, offer_values, refuse

SITES = list_sites()
UNTRIED = Path(__file__).with_name("untried.txt")


@pytest.fixture(scope="module", autouse=True)
def as_users_run_all():
    """The package's own refusals, not those of the shape checks."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    with serve_originals():
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
        if refusal.hint.startswith("one of ["):
            follow_offers(scope, call, refusal)
        else:
            follow_hint(scope, call, refusal.hint)


def follow_offers(scope, call, refusal):
    """The value named first works; another may be refused by another rule, as a method that asks for attention is."""
    first, *others = offer_values(call, refusal)
    exec(first, dict(scope))
    for other in others:
        with suppress(ValueError):
            exec(other, dict(scope))


@pytest.mark.parametrize(("call", "setup", "act"), IN_WORDS)
def test_what_the_line_says_in_words_is_the_way_out(call, setup, act):
    scope, refusal = refuse(setup, call)
    assert refusal is not None, "the call is no longer refused: take the case out or mend it"
    assert find_site(refusal.error, SITES), f"not refused by a call with a hint: {refusal.error!r}"
    exec(act, scope)
    exec(call, scope)


def list_reached():
    """Names of the calls with a hint that some case reaches."""
    reached = set()
    for call, setup, *_ in (*CASES, *IN_WORDS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, refusal = refuse(setup, call)
        site = refusal and find_site(refusal.error, SITES)
        reached |= {site.name} if site else set()
    return reached


def read_untried():
    """Why there is no case, by the name of the call."""
    return dict(line.split(": ", 1) for line in UNTRIED.read_text().splitlines())


def test_every_call_without_a_case_has_a_reason():
    assert all(len(reason) > 20 for reason in read_untried().values())


def test_every_hint_has_a_case():
    """A new refusal comes with the call that it refuses."""
    untried = set(read_untried())
    names = {site.name for site in SITES}
    reached = list_reached()
    missing = sorted(names - reached - untried)
    places = {site.name: f"xnb/{site.path}:{site.first}" for site in SITES}
    lines = [f"{name} ({places[name]})" for name in missing]
    assert not missing, "add to tests/refusals/cases.py a call that is refused at: " + "; ".join(lines)
    stale = sorted(untried & reached | untried - names)
    assert not stale, f"take out of tests/refusals/untried.txt what is tried, or no more: {stale}"
