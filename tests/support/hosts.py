"""Several hosts on one machine: network namespaces with a cable each to a switch, at a rate one chooses.

    with Hosts(2, rate="100mbit") as hosts:
        ranks = [hosts.popen(i, [sys.executable, "rank.py"], {"RANK": str(i)}) for i in range(2)]

Needs root, `ip` and `tc`. Whatever happens inside, processes, namespaces and cables are gone afterwards; what a killed
process left behind goes when the next hosts are made. The kernel shapes by a token bucket (tbf): messages under its
burst pass free, so rates are true for exchanges of 128 KiB and more; it adds no latency.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

DEVICE = "eth0"  # every host's end of its cable
_NETWORK = "10.79.0"
_PREFIX = "rigwise"
_BURST_S = 1e-3  # of the rate: less than the kernel's clock tick between two refills halves a gigabit
_LEAST_BURST = 32_768  # bytes
_UNITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


def why_not() -> str:
    """Why there can be no hosts here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "tc") if shutil.which(name) is None]
    if missing:
        return f"network namespaces need the command {missing[0]} (iproute2)"
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True)
    return f"no network namespaces: {done.stderr.strip()}" if done.returncode else ""


class Hosts:
    """`count` hosts with addresses 10.79.0.1 and so on. rate: at which each sends, as tc spells it; None does not
    shape. Shaped at the other end too, one bucket behind another would cost a third beyond the rate.
    """

    def __init__(self, count: int, rate: str | None = None) -> None:
        self.count = count
        self.rate = rate
        self._names = [f"{_PREFIX}-{os.getpid()}-{id(self):x}-{number}" for number in range(count)]
        self._switch = f"{_PREFIX}-{os.getpid()}-{id(self):x}-switch"
        self._processes: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Self:
        sweep()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def address(self, host: int) -> str:
        """The host's address."""
        return f"{_NETWORK}.{host + 1}"

    def popen(
        self, host: int, command: Sequence[str | Path], environment: Mapping[str, str] | None = None, **other: Any
    ) -> subprocess.Popen[Any]:
        """Start a command on a host, in this process's environment and what is given beside it."""
        network = {"GLOO_SOCKET_IFNAME": DEVICE, "TP_SOCKET_IFNAME": DEVICE, "NCCL_SOCKET_IFNAME": DEVICE}
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._names[host], *map(str, command)],
            env={**os.environ, **network, **(environment or {})},
            start_new_session=True,
            **other,
        )
        self._processes.append(process)
        return process

    def shape(self, host: int, rate: str | None) -> None:
        """Set the rate at which a host sends; it receives what others send it."""
        where = f"dev {DEVICE} root"
        with suppress(subprocess.CalledProcessError):  # there was none
            _do(f"tc -n {self._names[host]} qdisc del {where}")
        if rate:
            burst = max(_LEAST_BURST, int(bits(rate) / 8 * _BURST_S))
            _do(f"tc -n {self._names[host]} qdisc add {where} tbf rate {rate} burst {burst} latency 200ms")

    def plug(self, host: int, connected: bool) -> None:
        """Pull or mend a host's cable."""
        _do(f"ip -n {self._switch} link set port{host} {'up' if connected else 'down'}")

    def close(self) -> None:
        """End what was started on the hosts, and take them down."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for name in (*self._names, self._switch):
            _remove(name)

    def _build(self) -> None:
        _do(f"ip netns add {self._switch}")
        _do(f"ip -n {self._switch} link add bridge type bridge")
        _do(f"ip -n {self._switch} link set bridge up")
        for host, name in enumerate(self._names):
            _do(f"ip netns add {name}")
            _do(f"ip -n {name} link add {DEVICE} type veth peer name port{host} netns {self._switch}")
            _do(f"ip -n {self._switch} link set port{host} master bridge")
            _do(f"ip -n {self._switch} link set port{host} up")
            _do(f"ip -n {name} addr add {self.address(host)}/24 dev {DEVICE}")
            _do(f"ip -n {name} link set {DEVICE} up")
            _do(f"ip -n {name} link set lo up")
            self.shape(host, self.rate)


def bits(rate: str) -> float:
    """Bit/s of a rate as tc spells it.

    >>> bits("100mbit"), bits("1gbit")
    (100000000.0, 1000000000.0)
    """
    number, unit = re.fullmatch(r"([0-9.]+)(kbit|mbit|gbit)", rate).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


def sweep() -> None:
    """Take down the hosts of processes that are no more."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for name in re.findall(rf"^{_PREFIX}-(?:\d+)-\S+", listed, flags=re.MULTILINE):
        if not Path(f"/proc/{name.split('-')[1]}").exists():
            _remove(name)


def _remove(name: str) -> None:
    held = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
    for process in held.stdout.split():  # what a command left behind there
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _do(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True, text=True)
