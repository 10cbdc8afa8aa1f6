"""Random pipelines: a kind of schedule, stages, micro-batches and chunks that go together."""

from __future__ import annotations

from hypothesis import strategies as st

from rigwise.layouts.schedule import KINDS


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[str, int, int, int]:
    kind = draw(st.sampled_from(KINDS))
    stages, chunks = draw(st.integers(1, 6)), draw(st.integers(1, 4)) if kind == "interleaved" else 1
    micros = draw(st.integers(1, 4)) * stages if chunks > 1 else draw(st.integers(1, 12))
    return kind, stages, micros, chunks
