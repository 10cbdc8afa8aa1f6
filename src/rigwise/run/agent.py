"""The agent of one host of several: torch elastic's, which starts its ranks, and starts them again after a fault.

`python -m rigwise.run.agent '{...}'` with what Orders holds. What torch's would not do: it starts anew only what may go
better then (a rank killed, neighbours lost), and as often as there is a new checkpoint in between; what a rank has said
of itself, such as a loss that is no number or a full disk, ends the run on all hosts at once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch.distributed import DistError
from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousError,
    RendezvousHandler,
    RendezvousParameters,
    RendezvousTimeoutError,
)
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from rigwise.errors import EXIT_INTERRUPTED, LaunchError
from rigwise.run.failures import LOST_CODE
from rigwise.run.keeping import folder

_WATCH_S = 0.2  # between two looks at the ranks
_ALIVE_S, _MISSED = 1, 3  # an agent gives a sign every second; after three that did not come it is gone
_LAST_CALL_S = 3  # where fewer hosts are enough, the others may come so much later
_AGAIN_S = 40  # that hosts may take to come together again after a fault
_READ_S = 15  # that the store may take for an answer; behind a cut cable it takes for ever
_END_S = 30.0  # that a host waits for the others at the end
_SAVE_S = 30  # that ranks may take for the step and the checkpoint when they are asked to stop
_OUR_FAULT = 1  # a rank's own words: the code of an error that is not of the family


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What an agent is told. words: the command of a rank. endpoint: HOST:PORT of the store. own: this host's address
    as the others see it. restarts: in a row, without a new checkpoint. first_s: that hosts may take at the start.
    """

    name: str
    words: list[str]
    endpoint: str
    own: str
    fewest: int
    most: int
    per_host: int
    output: str
    restarts: int
    first_s: float


class Agent(LocalElasticAgent):
    """torch's agent, with a mind of its own about what is worth another start."""

    def __init__(self, spec: WorkerSpec, orders: Orders) -> None:
        super().__init__(spec, DefaultLogsSpecs(), exit_barrier_timeout=_END_S, shutdown_timeout=_SAVE_S)
        self.orders = orders
        self.newest = _newest(orders.output)
        self.stopped = False  # were the ranks asked to, from another host?

    def _rendezvous(self, worker_group: WorkerGroup) -> None:
        super()._rendezvous(worker_group)
        handler: Any = worker_group.spec.rdzv_handler
        handler._settings.timeout._join = timedelta(seconds=_AGAIN_S)  # the first time people start the hosts

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        found: RunResult = super()._monitor_workers(worker_group)
        if found.state is WorkerState.FAILED:
            codes = {rank: failure.exitcode for rank, failure in found.failures.items()}
            newest = _newest(self.orders.output)
            if any(final(code) for code in codes.values()):
                self._remaining_restarts = 0
            elif newest != self.newest:
                self._remaining_restarts = self.orders.restarts
            self.newest, self.stopped = newest, set(codes.values()) == {EXIT_INTERRUPTED}
            if self._remaining_restarts and not self.stopped:
                where = f"from {newest}" if newest else "from the beginning"
                say(f"{ends(codes)}; starting again {where}")
        return found


def final(code: int) -> bool:
    """Would another start end the same way?

    >>> final(-9), final(LOST_CODE), final(2)
    (False, False, True)
    """
    return code > 0 and code not in (LOST_CODE, _OUR_FAULT, EXIT_INTERRUPTED)


def ends(codes: Mapping[int, int]) -> str:
    """How ranks ended, in words.

    >>> ends({1: -9}), ends({0: 75, 1: 75})
    ('rank 1 was killed by SIGKILL', 'ranks 0, 1 lost their neighbours')
    """
    killed = [f"rank {rank} was killed by {signal.Signals(-code).name}" for rank, code in codes.items() if code < 0]
    if killed:
        return ", ".join(killed)
    ranks = ", ".join(map(str, codes))
    some, their = ("ranks", "their") if len(codes) > 1 else ("rank", "its")
    if set(codes.values()) == {LOST_CODE}:
        return f"{some} {ranks} lost {their} neighbours"
    return f"{some} {ranks} ended with {', '.join(str(code) for code in sorted(set(codes.values())))}"


def _newest(output: str) -> str:
    paths = folder.found(Path(output))
    return paths[0].name if paths else ""


def say(words: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(f"rigwise: {words}\n")
    sys.stderr.flush()


def serve(orders: Orders) -> int:
    """Until the run has ended on all hosts; the exit code. Raises LaunchError."""
    asked = RendezvousParameters(
        backend="c10d",
        endpoint=orders.endpoint,
        run_id=orders.name,
        min_nodes=orders.fewest,
        max_nodes=orders.most,
        local_addr=orders.own,
        is_host="0",
        join_timeout=round(orders.first_s),
        last_call_timeout=_LAST_CALL_S,
        keep_alive_interval=_ALIVE_S,
        keep_alive_max_attempt=_MISSED,
        read_timeout=_READ_S,
    )
    try:
        handler = get_rendezvous_handler(asked)
    except (RendezvousError, DistError) as error:
        raise LaunchError(f"no store at {orders.endpoint}: {_brief(error)}", rule=_STORE) from error
    spec = WorkerSpec(
        role="rank",
        local_world_size=orders.per_host,
        entrypoint=orders.words[0],
        args=tuple(orders.words[1:]),
        rdzv_handler=handler,
        max_restarts=orders.restarts,
        monitor_interval=_WATCH_S,
        local_addr=orders.own,
    )
    agent = Agent(spec, orders)
    try:
        return _ended(agent.run(), orders)
    except SignalException:
        return EXIT_INTERRUPTED
    except RendezvousClosedError as error:
        if agent.stopped:
            return EXIT_INTERRUPTED
        raise LaunchError(_ELSEWHERE) from error
    except RendezvousTimeoutError as error:
        raise LaunchError(
            f"fewer than {orders.fewest} hosts came together within {_join_s(handler):g} s",
            rule="a run has at least so many hosts",
            nearest="--nnodes fewest:most goes on with fewer",
        ) from error
    except (RendezvousError, DistError) as error:
        raise LaunchError(
            f"the hosts did not come together at {orders.endpoint}: {_brief(error)}", rule=_STORE
        ) from error
    finally:
        handler.shutdown()


_ELSEWHERE = "the run was ended on another host, which says why"
_STORE = "every host reaches the first, whose `rigwise run` holds the store by which they meet"


def _ended(result: RunResult | None, orders: Orders) -> int:
    if result is None:
        raise LaunchError(_ELSEWHERE)
    if not result.is_failed():
        return 0
    codes = {rank: failure.exitcode for rank, failure in result.failures.items()}
    told = next((code for code in codes.values() if final(code)), None)
    if told is not None:
        return told
    raise LaunchError(
        f"{ends(codes)}, {orders.restarts + 1} times without a new checkpoint",
        rule="ranks are started again as long as that brings the run on",
        nearest="checkpoints closer together (--checkpoint-every)",
    )


def _join_s(handler: RendezvousHandler) -> float:
    """Seconds that a rendezvous may take."""
    own: Any = handler
    return float(own._settings.timeout.join.total_seconds())


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def main() -> None:
    """Serve the orders of the command line."""
    orders = Orders(**json.loads(sys.argv[1]))
    prints = Path(orders.output) / f"agent-{orders.own}.txt"
    prints.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=prints, level=logging.INFO, format="%(asctime)s %(message)s")
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "torch"]:
        logging.getLogger(name).handlers.clear()  # they would tell people on stderr what is told to them in words
        logging.getLogger(name).propagate = True
    try:
        code = serve(orders)
    except LaunchError as error:
        say(f"{error}")
        code = error.exit_code
    os._exit(code)


if __name__ == "__main__":
    main()
