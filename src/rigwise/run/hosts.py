"""`rigwise run` on several hosts: on each of them the same command, which watches over that host's agent (agent.py).

The first host, whose address the rendezvous names, holds the store besides. An agent that dies is started again; when
this process dies, the kernel ends its agent and its store, and the agent's end ends the ranks. Knows no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from rigwise.errors import EXIT_INTERRUPTED, LaunchError, UsageError, check_whole
from rigwise.hardware.detect import cores
from rigwise.layouts.layout import Layout
from rigwise.run.keeping import folder
from rigwise.run.server_process import process_environment
from rigwise.run.stopping import die_with_parent

RESTARTS, FIRST_S = 5, 600.0
_POLL_S = 1.0
_UNREACHED_S = 45.0  # a cable that is mended within that does no harm
_LINGER_S = 5.0  # the other hosts read from the store that the run has ended
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """fewest, most: hosts that a run has. address, port: of the store, which the first host holds. restarts: of the
    ranks in a row without a new checkpoint in between. first_s: seconds that hosts wait for each other at the start.
    """

    fewest: int
    most: int
    address: str
    port: int
    restarts: int = RESTARTS
    first_s: float = FIRST_S

    def __post_init__(self) -> None:
        check_whole(fewest=self.fewest, most=self.most)
        check_whole(0, restarts=self.restarts)
        if self.fewest > self.most:
            raise UsageError(f"nnodes={self.fewest}:{self.most}", rule="fewest:most", nearest=f"{self.most}")
        if self.port not in _PORTS:
            raise UsageError(f"port {self.port} of the rendezvous", rule="a port is 1 to 65535")


def read(nnodes: str, rendezvous: str, restarts: int = RESTARTS) -> Hosts:
    """Hosts from the words of a command line.

    >>> hosts = read("1:2", "10.0.0.1:29400")
    >>> hosts.fewest, hosts.most, hosts.address, hosts.port
    (1, 2, '10.0.0.1', 29400)
    """
    fewest, _, most = nnodes.partition(":")
    address, _, port = rendezvous.rpartition(":")
    if not fewest.isdigit() or not (most or fewest).isdigit():
        raise UsageError(f"nnodes={nnodes!r}", rule="hosts, or fewest:most", nearest="2, or 1:2")
    if not address or not port.isdigit():
        raise UsageError(
            f"rendezvous={rendezvous!r}",
            rule="HOST:PORT of the first host, as the others reach it",
            nearest="10.0.0.1:29400",
        )
    return Hosts(fewest=int(fewest), most=int(most or fewest), address=address, port=int(port), restarts=restarts)


def ranks_of_a_host(layout: Layout, hosts: Hosts) -> int:
    """How many ranks each host starts.

    >>> ranks_of_a_host(Layout(dp=4), read("1:2", "10.0.0.1:29400"))
    2
    """
    if layout.ranks % hosts.most:
        raise UsageError(
            f"layout {layout} has {layout.ranks} ranks on {hosts.most} hosts",
            rule="every host has as many ranks",
            nearest=f"a layout of {hosts.most * max(1, layout.ranks // hosts.most)} ranks",
        )
    return layout.ranks // hosts.most


def supervise(hosts: Hosts, words: Sequence[str], layout: Layout, output: Path, say: Callable[[str], None]) -> int:
    """Run this host's part to the end of the run; the exit code.

    words: those of `rigwise run` for a rank. output: the folder, which all hosts share. say: told of what is started
    again. Raises LaunchError (no store, no way to it) and UsageError.
    """
    per_host = ranks_of_a_host(layout, hosts)
    named = hashlib.sha256(json.dumps([*words, hosts.most]).encode()).hexdigest()[:16]
    orders = {
        "name": named,
        "words": [sys.executable, "-P", "-m", "rigwise", "run", *words],
        "endpoint": f"{hosts.address}:{hosts.port}",
        "own": _own_address(hosts),
        "fewest": hosts.fewest,
        "most": hosts.most,
        "per_host": per_host,
        "output": str(output),
        "restarts": hosts.restarts,
        "first_s": hosts.first_s,
    }
    with ExitStack() as stack:
        first = is_here(hosts.address)
        if first:
            stack.enter_context(_store(hosts))
        else:
            _wait_for_first(hosts)
        code = _watch(orders, _surroundings(per_host), hosts, output, say)
        if first and code:
            time.sleep(_LINGER_S)
    return code


def _watch(
    orders: Mapping[str, Any], surroundings: Mapping[str, str], hosts: Hosts, output: Path, say: Callable[[str], None]
) -> int:
    """The agent, started again as often as it is killed while the run gets on."""
    left, newest = hosts.restarts, _newest(output)
    while True:
        command = [sys.executable, "-P", "-m", "rigwise.run.agent", json.dumps(orders)]
        with (
            subprocess.Popen(
                command, env=surroundings, start_new_session=True, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent
            ) as agent,
            _passed_on(agent) as asked,
        ):
            code = _waited(agent, hosts)
        if asked:
            return EXIT_INTERRUPTED
        if code >= 0:
            return code
        now = _newest(output)
        left, newest = (hosts.restarts if now != newest else left - 1), now
        how = f"the agent of this host was killed by {signal.Signals(-code).name}"
        if left < 0:
            raise LaunchError(f"{how}, {hosts.restarts + 1} times without a new checkpoint")
        say(f"{how}; starting it again")


def _waited(agent: subprocess.Popen[bytes], hosts: Hosts) -> int:
    """How the agent ended. One that cannot reach the store any more may wait in its socket for ever: it is ended."""
    seen = time.monotonic()
    while True:
        try:
            return agent.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            if _reached(hosts):
                seen = time.monotonic()
            elif time.monotonic() - seen > _UNREACHED_S:
                os.killpg(agent.pid, signal.SIGKILL)
                agent.wait()
                raise LaunchError(
                    f"the store at {hosts.address}:{hosts.port} could not be reached for {_UNREACHED_S:g} s",
                    rule="every host reaches the first, whose `rigwise run` holds the store by which they meet",
                    nearest="the same command again, when the first host is there",
                ) from None


def _reached(hosts: Hosts) -> bool:
    try:
        with socket.create_connection((hosts.address, hosts.port), timeout=_POLL_S):
            return True
    except OSError:
        return False


def _newest(output: Path) -> str:
    paths = folder.found(output)
    return paths[0].name if paths else ""


@contextmanager
def _passed_on(agent: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM asks the agent, whose ranks finish their step and save; the second ends it. The
    signals that came.
    """
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        with suppress(ProcessLookupError):
            if len(asked) == 1:
                os.kill(agent.pid, signal.SIGTERM)
            else:
                os.killpg(agent.pid, signal.SIGKILL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, how in before.items():
            signal.signal(number, how)


@contextmanager
def _store(hosts: Hosts) -> Iterator[None]:
    command = [sys.executable, "-P", "-m", "rigwise.run.store", hosts.address, str(hosts.port)]
    with subprocess.Popen(
        command,
        env=process_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent,
    ) as store:
        assert store.stdout
        said = store.stdout.readline().strip()
        try:
            if said != "ready":
                raise LaunchError(
                    f"cannot hold the store at {hosts.address}:{hosts.port}: {said or 'no word from it'}",
                    rule="the first host listens there",
                    nearest="another port",
                )
            yield
        finally:
            store.kill()


def _wait_for_first(hosts: Hosts) -> None:
    """Until the first host's store is there."""
    deadline = time.monotonic() + hosts.first_s
    while True:
        try:
            with socket.create_connection((hosts.address, hosts.port), timeout=_POLL_S):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"no store at {hosts.address}:{hosts.port} in {hosts.first_s:g} s: {error.strerror or error}",
                    rule="the first host starts the same command, and the others reach its port",
                ) from error
            time.sleep(_POLL_S)


def _surroundings(per_host: int) -> dict[str, str]:
    threads = str(max(1, cores() // per_host))
    own = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # else every socket says that addresses have no names
    # What a restart finds in a store that the agents share are the addresses of the ranks before.
    return {**own, **quiet, **process_environment(), "RIGWISE_AGENT": "1"}


def is_here(address: str) -> bool:
    """Is it an address of this machine?"""
    return _resolved(address) in {one.address for each in psutil.net_if_addrs().values() for one in each}


def _resolved(address: str) -> str:
    try:
        return socket.gethostbyname(address)
    except OSError as error:
        raise UsageError(f"no host {address!r}: {error.strerror}", rule="the first host's name or address") from error


def _own_address(hosts: Hosts) -> str:
    """This host's address as the first sees it."""
    address = _resolved(hosts.address)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, hosts.port))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError as error:
        raise LaunchError(
            f"no way to {hosts.address}: {error.strerror}", rule="every host reaches the first"
        ) from error
