"""The measurement of comparisons past one process: every kind of run works, and says what was asked."""

import pytest

from benchmarks import crops, scaling


@pytest.mark.parametrize(
    ("question", "keys"),
    [
        ({"run": "sweep", "name": "t", "pictures": 4}, {"seconds", "started", "sha256"}),
        ({"run": "streamed", "pictures": 100}, {"seconds", "mib", "first block", "last block"}),
        ({"run": "attributions", "pictures": 100}, {"seconds", "mib"}),
        ({"run": "methods", "pictures": 2, "methods": ["gradient"]}, {"thousand"}),
        ({"run": "photograph", "side": 64}, {"seconds", "methods"}),
        ({"run": "peers", "pictures": 2}, {"seconds", "maps", "curves"}),
    ],
)
def test_every_run_has_a_process_and_an_answer(question, keys, tmp_path):
    found = scaling.ask({**question, "folder": str(tmp_path)})
    assert keys <= set(found)
    assert found.get("seconds", 1) > 0


def test_rounds_are_told_with_their_median_and_one_hash():
    rounds = [{"seconds": s, "started": 1.0, "sha256": "a"} for s in (3.0, 1.0, 2.0)]
    found = scaling._summarise(rounds, 7)
    assert found == {"pictures": 7, "seconds": [3.0, 1.0, 2.0], "median": 2.0, "started": 1.0, "sha256": ["a"]}


def test_crops_are_explained_by_workers_and_compared_by_photograph(monkeypatch):
    monkeypatch.setattr(crops, "METHODS", ("gradient", "grad_cam"))
    found = scaling.measure_crops(6)
    assert found["errors"] == 0
    assert set(found["seconds"]) == {"gradient", "grad_cam"}
    mean, low, high = found["alike"]["gradient, grad_cam"]
    assert -1 <= low <= mean <= high <= 1
