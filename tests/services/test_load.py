"""More questions than a service can take: some are answered, the others are told when to come again."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import Asked
from launching import APPS, ON, running

CAPACITY = 6  # one that runs, five that wait
MOST = 60  # mebibytes that memory may grow by between the second and the last round, of some 400


@pytest.fixture(scope="module", params=APPS)
def busy(request, tmp_path_factory):
    """A service whose model takes a twentieth of a second a pass, and no processor; five may wait for it."""
    folder = tmp_path_factory.mktemp("load")
    with running(request.param, ON[request.param], folder, model="tiny_models:slow", most_waiting=CAPACITY - 1) as one:
        yield one


def ask_at_once(address, count):
    service = Asked(address)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: service.explain(method="gradient"), range(count)))


def test_at_twice_its_capacity_it_answers_or_says_when_to_come_again(busy):
    memory = []
    seen = Counter()
    for _ in range(4):
        answers = ask_at_once(busy.address, 2 * CAPACITY)
        seen.update(answer.status_code for answer in answers)
        refused = [answer for answer in answers if answer.status_code == 503]
        assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in refused)
        assert all(set(answer.json()["error"]) == {"rule", "got", "try"} for answer in refused)
        memory.append(busy.memory())
    assert set(seen) == {200, 503}
    assert seen[200] >= 4 * CAPACITY
    assert memory[-1] - memory[1] < MOST, memory
    assert Asked(busy.address).explain(method="gradient").status_code == 200


def test_health_is_told_while_all_places_are_taken(busy):
    with ThreadPoolExecutor(2 * CAPACITY) as pool:
        questions = [pool.submit(Asked(busy.address).explain, method="gradient") for _ in range(2 * CAPACITY)]
        assert Asked(busy.address).get("/healthz").status_code == 200
        assert {question.result().status_code for question in questions} <= {200, 503}
