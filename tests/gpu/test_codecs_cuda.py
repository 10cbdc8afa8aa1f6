"""Triton's codecs give the reference's bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rigwise.run.compress.codecs import CODECS, codec

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("count", [1, 7, 63, 65, 4095, 4096, 4097, 100_000])
@pytest.mark.parametrize("name", CODECS)
def test_triton_gives_the_reference_s_bits(name: str, count: int) -> None:
    draw = np.random.default_rng(count)
    given = torch.from_numpy(draw.normal(0, 10.0 ** draw.integers(-30, 20), count).astype(np.float32))
    if count > 4096:
        given[17] = np.inf
    slow, quick = codec(name, CPU, plain=True), codec(name, CUDA)
    wire, other = (torch.zeros(slow.size(count), dtype=torch.uint8, device=device) for device in (CPU, CUDA))
    slow.encode(given, wire)
    quick.encode(given.to(CUDA), other)
    sound = given.isfinite().all() or name == "bf16"
    assert torch.equal(wire, other.cpu()) or not sound
    said, heard = torch.empty(count), torch.empty(count, device=CUDA)
    slow.decode(wire, said)
    quick.decode(other, heard)
    torch.testing.assert_close(heard.cpu(), said, rtol=0, atol=0, equal_nan=True)
    said, heard = given.clone(), given.to(CUDA)
    slow.add(wire, said)
    quick.add(other, heard)
    torch.testing.assert_close(heard.cpu(), said, rtol=0, atol=0, equal_nan=True)
