"""The exchange of gradients beside the backward pass: DistributedDataParallel hands over a bucket, a thread of its own
brings the mean.

The backward pass runs without Python's lock, and so do the codecs and the waiting for collectives. A collective is only
ever started by the thread: in a callback it would wait for the very threads that have to carry it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from queue import SimpleQueue
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import GradBucket

from rigwise.run.compress.bucket import Bucket
from rigwise.run.compress.two_phase import ring_bytes

_Future = torch.futures.Future  # of the bucket's tensor


class Method(Protocol):
    """A way to the mean of a bucket over ranks. whole_steps: a bucket is finished only when the last of its step is.
    feedback: what was not sent is kept for the next step.
    """

    whole_steps: bool
    feedback: bool

    def mean(self, bucket: Bucket) -> int:
        """Replace the bucket's numbers by their mean; bytes that this rank sent."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this rank."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from state_dict."""


class Exchange:
    """The thread, and the hook that feeds it. method: how the mean is found, called in the thread only; None is plain
    averaging, without the thread. name: the method's, as the layout spells it. silent: buckets stay as they are.
    group: the ranks that average; None is all.

    handed: called with True when a bucket is handed over that is the last of its backward pass, else with False.
    """

    def __init__(self, device: torch.device, handed: Callable[[bool], None] = lambda last: None) -> None:
        self.method: Method | None = None
        self.name = "none"
        self.device = device
        self.handed = handed
        self.silent = False
        self.group: dist.ProcessGroup | None = None
        self.sent = 0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._buckets: SimpleQueue[tuple[GradBucket, Any, _Future[torch.Tensor]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="gradient exchange", daemon=True)
        self._thread.start()

    def hand_over(self, bucket: GradBucket) -> _Future[torch.Tensor]:
        """Queue a bucket; the future holds its buffer when the mean is in it."""
        if not self.silent:
            self.handed(bucket.is_last())
            if self.method is None:
                return self._average(bucket)
        future: _Future[torch.Tensor] = torch.futures.Future(devices=[self.device] if self._stream else [])
        if self.silent:
            future.set_result(bucket.buffer())
        else:
            ready = torch.cuda.current_stream(self.device).record_event() if self._stream else None
            self._buckets.put((bucket, ready, future))
        return future

    def _average(self, bucket: GradBucket) -> _Future[torch.Tensor]:
        buffer = bucket.buffer()
        self.sent += ring_bytes(buffer.nbytes, dist.get_world_size(self.group))
        work = dist.all_reduce(buffer, op=dist.ReduceOp.AVG, group=self.group, async_op=True)
        assert work is not None
        return work.get_future().then(lambda future: future.value()[0])  # type: ignore[no-any-return]

    def average(self, bucket: Bucket) -> None:
        """Replace a bucket's numbers by their mean at once, here and not in the thread: after a backward pass."""
        assert self.method
        with torch.no_grad():
            self.sent += self.method.mean(bucket)

    def take_sent(self) -> int:
        """Bytes sent since it was last asked."""
        sent, self.sent = self.sent, 0
        return sent

    def close(self) -> None:
        """End the thread, after what it has in hand."""
        self._buckets.put(None)
        self._thread.join()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this rank, between two steps; nothing where nothing is fed back."""
        if not self.method or not self.method.feedback:
            return {}
        return {"compress": self.name, "copies": dist.get_world_size(self.group), **self.method.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from this rank's state_dict; ValueError where another method or other ranks wrote it."""
        if (state["compress"], state["copies"]) != (self.name, dist.get_world_size(self.group)):
            raise ValueError(f"{state['compress']} over {state['copies']} copies")
        if self.method:
            self.method.load_state_dict(state)

    def _work(self) -> None:
        begun: list[tuple[GradBucket, _Future[torch.Tensor]]] = []
        while (handed := self._buckets.get()) is not None:
            assert self.method
            bucket, ready, future = handed
            begun.append((bucket, future))
            with torch.no_grad(), torch.cuda.stream(self._stream) if self._stream else nullcontext():
                try:
                    if ready is not None:
                        torch.cuda.current_stream(self.device).wait_event(ready)
                    self.sent += self.method.mean(bucket)
                except Exception as error:  # whatever it is, the backward pass that waits raises it
                    for _, waiting in begun:
                        waiting.set_exception(error)  # type: ignore[arg-type]
                    begun = []
                if bucket.is_last() or not self.method.whole_steps:
                    for whole, waiting in begun:
                        waiting.set_result(whole.buffer())
                    begun = []


def hook(state: Exchange, bucket: GradBucket) -> torch.futures.Future[torch.Tensor]:
    """For DistributedDataParallel.register_comm_hook(exchange, hook)."""
    return state.hand_over(bucket)


# torch checks a hook's annotations, and not as the strings that they are in this file
hook.__annotations__.update({"bucket": GradBucket, "return": torch.futures.Future[torch.Tensor]})
