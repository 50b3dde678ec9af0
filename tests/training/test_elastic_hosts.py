"""Training over two hosts, of which one is lost: hosts are network namespaces, and processes are killed for real.

Tests: xnb.training.elastic
"""

import os
import signal
import subprocess
import sys

import pytest
from elastic_runs import ENVIRONMENT, HERE, PATIENCE, fit_alone, largest_difference, read_rows, read_weights, wait_until
from hosts import kill_host, make_two_hosts


@pytest.fixture
def two_hosts():
    with make_two_hosts() as hosts:
        yield hosts


@pytest.mark.skipif("XNB_TRUST" not in os.environ, reason="takes more than a minute: XNB_TRUST=1 runs it")
def test_a_host_goes_on_when_the_other_is_gone(two_hosts, tmp_path):
    """As the documentation starts it, by torchrun on each host, with the variables for hosts without names."""
    (tmp_path / "wait").touch()
    study = f"{HERE / 'elastic_studies.py'}:accidents"
    endpoint = f"{next(iter(two_hosts.values()))}:29500"
    agents = []
    for host, address in two_hosts.items():
        options = f"--nnodes=1:2 --nproc-per-node=2 --rdzv-backend=c10d --rdzv-endpoint={endpoint} --rdzv-id=J"
        options += f" --rdzv-conf=is_host={int(not agents)},last_call_timeout=5 --local-addr={address} --max-restarts=3"
        command = f"ip netns exec {host} {sys.executable} -m torch.distributed.run {options} -m xnb.training.elastic"
        variables = {"GLOO_SOCKET_IFNAME": host, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "ACCIDENTS": str(tmp_path)}
        words = [*command.split(), study, "--folder", str(tmp_path / "out")]
        agents.append(subprocess.Popen(words, env=ENVIRONMENT | variables))
    wait_until(lambda: all((tmp_path / f"waits-{rank}").exists() for rank in range(4)))
    kill_host(list(two_hosts)[1])
    (tmp_path / "wait").unlink()
    assert agents[1].wait(PATIENCE) == -signal.SIGKILL
    assert agents[0].wait(PATIENCE) == 0
    model, _ = fit_alone("plain")
    assert len(read_rows(tmp_path / "out")) == 3
    assert largest_difference(model, read_weights(tmp_path / "out")) < 1e-5
