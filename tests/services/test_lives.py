"""The life of a service: killed and started again, asked to end while it answers. All four pairs."""

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from asking import Asked
from launching import APPS, PATIENCE, SERVERS, Running, free_port


@pytest.fixture(params=product(APPS, SERVERS), ids="-".join)
def start(request, tmp_path):
    port, started = free_port(), []

    def start():
        started.append(Running(*request.param, tmp_path, port=port, model="tiny_models:slow"))
        return started[-1].wait()

    yield start
    for service in started:
        service.stop()


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(holds):
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def test_killed_while_it_answers_it_begins_again_and_asked_to_end_it_answers_first(start, tmp_path):
    service = start()
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(Asked(service.address).explain, method="occlusion")
        time.sleep(0.3)
        service.kill()
        assert isinstance(cut.exception(), OSError)
    assert until(lambda: not is_open(service.port))
    before = sorted(tmp_path.iterdir())

    service = start()  # the same port at once
    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(Asked(service.address).explain, method="integrated_gradients")
        time.sleep(0.3)
        assert not last.done()
        service.process.send_signal(signal.SIGTERM)
        assert last.result().status_code == 200
    assert service.process.wait(PATIENCE) in (0, -signal.SIGTERM)
    assert until(lambda: not is_open(service.port))
    assert sorted(tmp_path.iterdir()) == before  # it writes nothing, neither then nor ever
