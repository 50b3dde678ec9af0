"""Training over two hosts, of which one is lost: hosts are network namespaces, and processes are killed for real.

Tests: xnb.training.elastic
"""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from elastic_runs import ENVIRONMENT, HERE, PATIENCE, fit_alone, largest_difference, read_rows, read_weights, wait_until


@pytest.fixture
def two_hosts():
    """Two network namespaces, by name and address, and a cable between them: each sees no other network."""
    hosts = {f"xnb{os.getpid()}{end}": f"10.213.7.{number}" for number, end in enumerate("ab", 1)}
    first, second = hosts
    commands = [f"ip netns add {first}", f"ip netns add {second}"]
    commands += [f"ip link add {first} netns {first} type veth peer name {second} netns {second}"]
    for host, address in hosts.items():
        commands += [f"ip -n {host} address add {address}/24 dev {host}"]
        commands += [f"ip -n {host} link set {host} up", f"ip -n {host} link set lo up"]
    try:
        if not shutil.which("ip") or any(
            subprocess.run(command.split(), check=False).returncode for command in commands
        ):
            pytest.skip("network namespaces are not allowed here")
        yield hosts
    finally:
        for host in hosts:
            kill_host(host)
            subprocess.run(["ip", "netns", "delete", host], check=False)


def kill_host(host):
    """End all processes of a host at once."""
    pids = subprocess.run(["ip", "netns", "pids", host], capture_output=True, text=True, check=False).stdout
    for pid in pids.split():
        os.kill(int(pid), signal.SIGKILL)


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
