"""Hosts of network namespaces are there, apart, shaped, and gone afterwards, whatever happened inside."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from hosts import Hosts, bits, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there are hosts")

PATIENCE_S = 60.0


def namespaces() -> set[str]:
    """Of this process; others may have theirs."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split() if name.startswith(f"rigwise-{os.getpid()}-")}


def test_hosts_reach_each_other_and_a_pulled_cable_parts_them() -> None:
    with Hosts(2) as hosts:
        server = (
            "import socket; s = socket.create_server(('', 5000)); print('up', flush=True); s.accept()[0].send(b'hello')"
        )
        client = f"import socket; print(socket.create_connection(('{hosts.address(0)}', 5000), 2).recv(9).decode())"
        listening = hosts.popen(0, ["python3", "-c", server], stdout=subprocess.PIPE, text=True)
        assert listening.stdout
        assert listening.stdout.readline() == "up\n"
        hosts.plug(1, connected=False)
        assert hosts.popen(1, ["python3", "-c", client], stderr=subprocess.DEVNULL).wait() != 0
        hosts.plug(1, connected=True)
        heard, deadline = "", time.monotonic() + PATIENCE_S
        while not heard and time.monotonic() < deadline:  # the kernel remembers for a while that nobody answered
            asking = hosts.popen(
                1, ["python3", "-c", client], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            heard, said = asking.communicate()
        assert heard == "hello\n", said
        listening.communicate()


def test_a_cable_is_shaped_as_asked() -> None:
    with Hosts(2, rate="100mbit") as hosts:
        shown = hosts.popen(1, ["tc", "qdisc", "show", "dev", "eth0"], stdout=subprocess.PIPE, text=True).communicate()[
            0
        ]
        assert "tbf" in shown
        assert "rate 100Mbit" in shown
    assert bits("2.5gbit") == 2.5e9


def test_all_is_gone_after_a_failure() -> None:
    seen = []

    def failing() -> None:
        with Hosts(3) as hosts:
            seen.append(hosts.popen(2, ["sleep", "60"]))
            seen.append(namespaces())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        failing()
    sleeper, names = seen
    assert sleeper.poll() is not None
    assert len(names) == 4
    assert not names & namespaces()
