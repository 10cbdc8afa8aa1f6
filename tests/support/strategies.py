"""What Hypothesis draws: layouts with every option."""

from __future__ import annotations

from hypothesis import strategies as st

from rigwise.layouts.layout import COMPRESS, DEGREES, OFFLOAD, OVERLAP, PRECISIONS, RECOMPUTE, SEQUENCE, Layout


def layouts(degree: st.SearchStrategy[int], **other: st.SearchStrategy[object]) -> st.SearchStrategy[Layout]:
    """Layouts whose degrees and micro-batches are drawn from one strategy; other: fields drawn otherwise."""
    options: dict[str, st.SearchStrategy[object]] = {
        **dict.fromkeys((*DEGREES, "micro"), degree),
        "zero": st.integers(0, 3),
        "sp": st.sampled_from(SEQUENCE),
        "recompute": st.sampled_from(RECOMPUTE),
        "overlap": st.sampled_from(OVERLAP),
        "offload": st.sampled_from(OFFLOAD),
        "compress": st.sampled_from(COMPRESS),
        "precision": st.sampled_from(PRECISIONS),
    }
    return st.builds(Layout, **{**options, **other})
