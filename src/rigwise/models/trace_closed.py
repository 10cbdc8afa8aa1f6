"""Functions of torch that a device runs as one kernel, whatever the meta device takes them apart to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rigwise.models.operations import FLOAT_BYTES, MASK_BYTES
from rigwise.models.trace_events import Event
from rigwise.models.trace_recorder import Recorder


def closed(recorder: Recorder, func: Callable[..., Any], name: str) -> Callable[..., Any]:
    """func, recorded as one event while the recorder listens; name is one of CLOSED."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs) if recorder.inside else CLOSED[name](recorder, func, args, kwargs)

    return call


def _attention(recorder: Recorder, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Fused attention as one event, its output laid out as fused kernels do: [B, M, A, D] seen as [B, A, M, D]."""
    given = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False)) | dict(
        kwargs
    )
    q, k, v = given["query"], given["key"], given["value"]
    event = Event(path=recorder.path[-1], name="attention", sequence=-1, kind="attention", closed=True)
    event.batch, event.kv_heads = float(q.shape[:-2].numel()), float(k.shape[:-2].numel())
    event.m, event.n, event.k, event.v = (float(n) for n in (q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1]))
    event.causal = bool(given.get("is_causal", False))
    with recorder.region(event):
        out = func(*args, **kwargs)
        if out.dim() == 4:
            out = out.transpose(1, 2).contiguous().transpose(1, 2)
    if out.requires_grad:
        event.kept = sum(recorder.keep_once(tensor) for tensor in (q, k, v))
        event.saved = event.kept + recorder.keep_once(out)
        event.saved_bytes = FLOAT_BYTES * event.batch * event.m
    return out


def _dropout(recorder: Recorder, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Dropout as one event that keeps a mask of bytes."""
    source = args[0] if args else kwargs["input"]
    event = Event(path=recorder.path[-1], name="dropout", sequence=-1, closed=True)
    with recorder.region(event):
        out = func(*args, **kwargs)
    if out is not source:
        size = recorder.elements([out])
        event.reads, event.writes = size, 2 * size
        event.saved_bytes = MASK_BYTES * size if out.requires_grad else 0.0
    return out


CLOSED: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"scaled_dot_product_attention": _attention, "dropout": _dropout}
)
