"""Figures of long runs are stored and not made anew with each change: none of them is old without being named here."""

import pytest

from collection.jobs import Tree
from collection.stamps import list_orphans, list_states

# By figure, why it is of other code than its notebook's is now; `make stale` prints how to make it anew.
STALE = {
    "fig-05-2": "imports moved, and the folder of trainings has another name, the same recipe",
    "fig-05-3": "imports moved, and the folder of trainings has another name, the same recipe",
    "fig-06-5": "the records' notebook drew it, of three starts; 18 quotes it as the earlier run, and nothing makes it",
}
STATES = {state.figure: state for state in list_states(Tree())}


@pytest.mark.parametrize("figure", STATES)
def test_a_stored_figure_of_a_long_run_is_of_the_present_code_or_named_as_stale(figure):
    notebook = STATES[figure].notebook
    hint = f"make refresh NOTEBOOK={notebook[:2]} PROFILE=paper, or a line in STALE that says why not"
    fresh = STATES[figure].code == "same"
    assert STATES[figure].code != "no stamp", f"{figure} was stored by hand: {hint}"
    assert fresh or figure in STALE, f"{figure} is stale, as code of {notebook} changed since: {hint}"
    assert not (fresh and figure in STALE), f"{figure} is fresh: take it out of STALE"


def test_only_stored_figures_are_named():
    assert STALE.keys() <= STATES.keys()
    assert list_orphans(Tree()) == [], "git add figures/paper, or take their entries out of its manifest.json"
