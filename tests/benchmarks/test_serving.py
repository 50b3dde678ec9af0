"""What the load benchmark makes of answers, and the run of it that is stored."""

import json

from benchmarks import serving


def test_answers_are_counted_by_status_and_their_times_summed_up():
    """Two answers of 100 and 300 ms in two seconds: one a second, median 200, 95th percentile 100 + 0.95 x 200."""
    found = serving.summarise([(200, 0.3), (503, 0.001), (200, 0.1), (504, 60.0)], 2.0)
    counts = {"answered": 2, "refused": 1, "other": 1}
    assert found == {"requests_per_second": 1.0, "p50_ms": 200.0, "p95_ms": 290.0, **counts}


def test_without_an_answer_there_is_no_time():
    found = serving.summarise([(503, 0.001)], 2.0)
    assert found["p50_ms"] is found["p95_ms"] is None
    assert found["requests_per_second"] == 0


def test_who_is_asked_again_and_again_is_counted_until_the_time_is_over():
    found = serving.measure(lambda: 200, 2, 0.05)
    assert found["answered"] >= 2
    assert found["refused"] == found["other"] == 0


def test_the_stored_run_is_of_all_pairs_and_says_where_it_was_taken():
    stored = json.loads(serving.STORED.read_text())
    pairs = [(row["app"], row["server"]) for row in stored["rows"]]
    assert sorted(pairs) == sorted((app, server) for app in serving.APPS for server in serving.SERVERS)
    assert set(serving.ABOUT) == set(stored["how to read"])
    assert stored["conditions"].keys() >= {"date", "processor", "cores", "load_average", "versions"}
    for row in stored["rows"]:
        assert set(row["explain"]) == set(row["health"]) == {str(count) for count in serving.CLIENTS}
