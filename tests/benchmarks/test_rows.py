"""Every row of the benchmarks runs, and its results agree with those of the other libraries."""

import warnings

import pytest
import torch

for library in ("captum", "zennit", "pytorch_grad_cam", "torchcam", "shap"):
    pytest.importorskip(library)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the other libraries say on import is theirs
    import benchmarks.run  # noqa: F401, enters every row
    from benchmarks.accuracy import accuracy
    from benchmarks.cases import ROWS, matches
    from benchmarks.growth import draw, slope, squares
    from benchmarks.measure import compare, seeded_draws
    from benchmarks.summary import equal
    from benchmarks.workloads import RECIPES, load

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("as_users_run")]


class TestGrowth:
    def test_slope(self):
        assert slope([1, 2, 4], [3.0, 6.0, 12.0]) == pytest.approx(1)
        assert slope([1, 2, 4], [1.0, 4.0, 16.0]) == pytest.approx(2)

    @pytest.mark.parametrize("cells", [16, 32, 128])
    def test_squares(self, cells):
        parts = squares(load("cnn32", 2, tiny=True), cells)
        assert parts.unique().tolist() == list(range(cells))

    def test_draws(self, tmp_path):
        task = {"of": "steps", "sizes": [1, 2], "seconds": [1.0, 2.0], "slope": 1.0}
        draw({"a": task}, tmp_path / "growth.png")
        assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_errors_to_exact_values():
    few, more = accuracy(tiny=True)
    assert more["xnb"] < few["xnb"] < 0.5
    assert more["xnb"] < more["captum"]


@pytest.mark.parametrize("name", RECIPES)
def test_workloads_are_seeded_and_have_one_span(name):
    before = torch.random.get_rng_state()
    w = load(name, 2, tiny=True)
    assert torch.equal(before, torch.random.get_rng_state())
    flat = w.x.flatten(1)
    torch.testing.assert_close(flat.amax(1) - flat.amin(1), torch.full((2,), 4.0))
    out = w.model(w.x)
    assert out.std() > 0
    assert bool((out.gather(1, w.target[:, None]) > 0).all())
    assert not torch.equal(w.prepared(w.x), out) or name in {"mlp", "table30", "plain32", "vit32"}


def test_matches():
    assert matches("lime, 50 regions/cnn32", "grad; lime")
    assert not matches("lime, 50 regions/cnn32", "mlp")


def test_every_goal_of_a_time_is_against_a_form_and_a_setting():
    assert len({row.name for row in ROWS}) == len(ROWS)
    names = {f"{form}/{label}" for form in ("plain", "prepared") for label in ("default", "best")} | {"memory"}
    for row in ROWS:
        case = row.build(load(row.workload, row.inputs, tiny=True))
        assert all(set(peer.goals) <= names for peer in case.peers)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_results_agree(row):
    """At the size of a toy: the same inequality that the table prints as a verdict."""
    w = load(row.workload, row.inputs, tiny=True)
    case = row.build(w)
    with seeded_draws(0):
        results = {"xnb plain": case.ours(w.model, w.x, w.target), "xnb prepared": case.ours(w.prepared, w.x, w.target)}
        results |= {f"{peer.name} default": peer.run() for peer in case.peers}
    found = compare(case, results)
    assert all(equal(case, peer, found) for peer in case.peers), found
    assert all(value.isfinite().all() for value in results.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_settings_that_are_searched_work(row):
    """The last of each peer: a library that refuses it would make its best look worse than it is."""
    case = row.build(load(row.workload, row.inputs, tiny=True))
    for peer in case.peers:
        *_, last = peer.variants().values()
        assert last().isfinite().all()


def test_there_are_rows():
    assert len(ROWS) > 50
