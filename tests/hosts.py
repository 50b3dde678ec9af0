"""Two hosts on one machine: network namespaces with a cable between them."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def make_two_hosts():
    """Two network namespaces, by name and address: each sees no other network. Skips where that is not allowed."""
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
