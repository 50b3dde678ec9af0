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
        ({"run": "peers", "pictures": 2}, {"seconds"}),
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
    found = scaling.measure_crops(0.0)
    assert found["errors"] == 0
    assert found["crops"] == 6
    mean, low, high = found["alike"]["gradient, grad_cam"]
    assert -1 <= low <= mean <= high <= 1


def test_parts_are_stored_one_by_one_and_measured_once(tmp_path, monkeypatch):
    asked = []
    for name in scaling.PARTS:
        monkeypatch.setitem(scaling.PARTS, name, lambda share, name=name: asked.append(name) or share)
    output = tmp_path / "scaling.json"
    scaling.main(["cost", "--output", str(output)])
    assert asked == ["cost"]
    scaling.main(["--quick", "--output", str(output)])
    assert asked[1:] == list(scaling.PARTS)
    asked.clear()
    scaling.main(["cost", "sweep", "--output", str(output)])
    scaling.main(["--output", str(output)])
    assert asked == ["cost", "sweep", *(name for name in scaling.PARTS if name not in ("cost", "sweep"))]
    stored = scaling.read_stored(output)
    assert stored["about"]["sweep"] == {**scaling.describe_machine(), "share": 1.0}
    asked.clear()
    scaling.main(["--output", str(output)])
    assert asked == []


def test_an_unknown_part_is_named(capsys):
    with pytest.raises(SystemExit):
        scaling.main(["sweeps"])
    assert "no part sweeps: choose among sweep, threads, streamed" in capsys.readouterr().err
