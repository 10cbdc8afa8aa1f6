"""Overlap-save of tensors: an image in windows of one length, each window an image of a larger batch.

The output is cut into tiles; a window is what a tile reads, its tile and reach - 1 more. The input's gradient is the
transpose: the windows' gradients are added where they overlap, which is overlap-add. Spectra keep to the window's
length, so that they stay in cache, and one spectrum of the kernels serves all windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from torch import Tensor
from torch.nn import functional

from rigwise.convolution.geometry import Geometry
from rigwise.convolution.kernels import inside
from rigwise.convolution.torch_kernels.transforms import Dft, Fast, Transform, keep_strided, unstride


@dataclass(frozen=True, slots=True)
class Windows:
    """Another transform, window by window."""

    shape: Geometry
    inner: Transform
    steps: tuple[int, ...]  # outputs of a tile
    counts: tuple[int, ...]  # tiles

    @classmethod
    def of(cls, shape: Geometry, n: tuple[int, ...], kind: type[Fast] | type[Dft]) -> Windows:
        """Windows of lengths n."""
        steps = tuple(length - reach + 1 for length, reach in zip(n, shape.reach))
        counts = tuple(-(-out // step) for out, step in zip(shape.dense_out, steps))
        batch = shape.batch * prod(counts)
        window = replace(shape, batch=batch, size=n, pad=((0, 0),) * shape.dims, stride=(1,) * shape.dims)
        return cls(shape, kind(window, n), steps, counts)

    def of_input(self, x: Tensor) -> Tensor:
        """Windows, which overlap, then their spectra."""
        shape, widths, dims = self.shape, [], self.shape.dims
        windows = [count * step + r - 1 for count, step, r in zip(self.counts, self.steps, shape.reach)]
        for whole, h, (before, _) in reversed(list(zip(windows, shape.size, shape.pad))):
            widths += [before, whole - before - h]
        x = functional.pad(x, widths)
        for axis, (step, reach) in enumerate(zip(self.steps, shape.reach)):
            x = x.unfold(2 + axis, step + reach - 1, step)
        order = (0, *range(2, 2 + dims), 1, *range(2 + dims, 2 + 2 * dims))
        return self.inner.of_input(x.permute(order).reshape(-1, shape.c, *x.shape[2 + dims :]))

    def of_kernels(self, w: Tensor) -> Tensor:
        """One for all windows."""
        return self.inner.of_kernels(w)

    def of_output(self, g: Tensor) -> Tensor:
        """Tiles of the gradient, which do not overlap, then their spectra."""
        shape, widths, dims = self.shape, [], self.shape.dims
        for count, step, out in reversed(list(zip(self.counts, self.steps, shape.dense_out))):
            widths += [0, count * step - out]
        g = functional.pad(unstride(g, shape), widths)
        g = g.reshape(shape.batch, shape.k, *(size for pair in zip(self.counts, self.steps) for size in pair))
        order = (0, *range(2, 2 + 2 * dims, 2), 1, *range(3, 3 + 2 * dims, 2))
        return self.inner.of_output(g.permute(order).reshape(-1, shape.k, *self.steps))

    def output(self, x: Tensor, w: Tensor) -> Tensor:
        """Tiles side by side."""
        shape, dims = self.shape, self.shape.dims
        tiles = self.inner.output(x, w).view(shape.batch, *self.counts, shape.k, *self.steps)
        order = (0, 1 + dims, *(axis for d in range(dims) for axis in (1 + d, 2 + dims + d)))
        y = tiles.permute(order).reshape(
            shape.batch, shape.k, *(count * step for count, step in zip(self.counts, self.steps))
        )
        return keep_strided(y[inside(slice(out) for out in shape.dense_out)].contiguous(), shape)

    def input(self, g: Tensor, w: Tensor) -> Tensor:
        """Windows added where they overlap, one dim after the other."""
        shape, dims = self.shape, self.shape.dims
        parts = self.inner.input(g, w)
        parts = parts.view(shape.batch, *self.counts, shape.c, *parts.shape[2:]).movedim(1 + dims, 1)
        for axis in range(dims - 1, -1, -1):
            parts = self._add(parts, 2 + axis, parts.ndim - (dims - axis), axis)
        return parts[inside(slice(before, before + h) for (before, _), h in zip(shape.pad, shape.size))].contiguous()

    def _add(self, parts: Tensor, tiles: int, within: int, axis: int) -> Tensor:
        """Join the tiles of one dim: axis `tiles` counts them, axis `within` runs inside them."""
        step, count = self.steps[axis], self.counts[axis]
        length = parts.shape[within]
        sizes = list(parts.shape)
        sizes[within] = (count - 1) * step + length
        del sizes[tiles]
        whole = parts.new_zeros(sizes)
        for at in range(count):
            whole.narrow(within - 1, at * step, length).add_(parts.select(tiles, at))
        return whole

    def kernels(self, x: Tensor, g: Tensor) -> Tensor:
        """The sum over all windows."""
        return self.inner.kernels(x, g)
