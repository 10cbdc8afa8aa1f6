"""Spectra of tensors, two ways: by torch's fast Fourier transform, and as matrix products.

`Fast` keeps the layout of the tensor, (N, C, frequencies), complex. `Dft` multiplies by the matrix of the discrete
transform; its flops grow as n instead of log n, but a matrix product runs at many times a transform's rate, needs no
zeros (the offset is in the matrix) and no round lengths, so that it wins for small images and for banks of many
kernels. Its layout is (frequencies, 2, N, C), real and imaginary parts apart: what the products over channels want.
Both give the three sums of `rigwise.convolution.fourier`, with the same lengths and offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from math import pi, prod
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from rigwise.convolution.fourier import exact_lengths, lengths
from rigwise.convolution.geometry import Geometry
from rigwise.convolution.kernels import inside


class Transform(Protocol):
    """What a pass needs of a way to transform."""

    def of_input(self, x: Tensor) -> Tensor:
        """The input's spectrum, at its offset."""

    def of_kernels(self, w: Tensor) -> Tensor:
        """The kernels' spectrum."""

    def of_output(self, g: Tensor) -> Tensor:
        """The spectrum of an output's gradient."""

    def output(self, x: Tensor, w: Tensor) -> Tensor:
        """The output from the spectra of input and kernels."""

    def input(self, g: Tensor, w: Tensor) -> Tensor:
        """The input's gradient from the spectra of the output's gradient and of the kernels."""

    def kernels(self, x: Tensor, g: Tensor) -> Tensor:
        """The kernels' gradient from the spectra of input and output's gradient."""


def dilate(w: Tensor, shape: Geometry) -> Tensor:
    """The kernels with the zeros of their dilation."""
    return _insert(w, shape.reach, shape.dilation) if shape.dilated else w


def undilate(dw: Tensor, shape: Geometry) -> Tensor:
    """The taps of a dilated kernel's gradient."""
    return dw[inside(slice(None, None, d) for d in shape.dilation)].contiguous() if shape.dilated else dw


def unstride(g: Tensor, shape: Geometry) -> Tensor:
    """An output's gradient with zeros at the positions that the stride left out."""
    return _insert(g, shape.dense_out, shape.stride) if shape.strided else g


def keep_strided(y: Tensor, shape: Geometry) -> Tensor:
    """The outputs that the stride keeps."""
    return y[inside(slice(None, None, s) for s in shape.stride)].contiguous() if shape.strided else y


def _insert(values: Tensor, size: tuple[int, ...], steps: tuple[int, ...]) -> Tensor:
    wide = values.new_zeros((*values.shape[:2], *size))
    wide[inside(slice(None, (v - 1) * s + 1, s) for v, s in zip(values.shape[2:], steps))] = values
    return wide


def _rfft(x: Tensor, n: tuple[int, ...]) -> Tensor:
    spectrum: Tensor = torch.fft.rfftn(x, s=n, dim=tuple(range(-len(n), 0)))
    return spectrum


def is_depthwise(shape: Geometry) -> bool:
    """One kernel a channel."""
    return shape.groups == shape.c == shape.k


@dataclass(frozen=True, slots=True)
class Fast:
    """By torch.fft."""

    shape: Geometry
    n: tuple[int, ...]

    @classmethod
    def of(cls, shape: Geometry) -> Fast:
        """At the shortest quick length."""
        return cls(shape, lengths(shape))

    def of_input(self, x: Tensor) -> Tensor:
        """(N, C, f)."""
        widths: list[int] = []
        for h, (before, _), n in reversed(list(zip(self.shape.size, self.shape.pad, self.n))):
            widths += [before, n - before - h]
        return _rfft(functional.pad(x, widths) if any(widths) else x, self.n)

    def of_kernels(self, w: Tensor) -> Tensor:
        """(K, C/G, f)."""
        return _rfft(dilate(w, self.shape), self.n)

    def of_output(self, g: Tensor) -> Tensor:
        """(N, K, f)."""
        return _rfft(unstride(g, self.shape), self.n)

    def output(self, x: Tensor, w: Tensor) -> Tensor:
        """(N, K, out)."""
        if is_depthwise(self.shape):
            spectrum = x * w[:, 0].conj().resolve_conj()
        else:
            banks = self._banks(w).conj().resolve_conj()
            spectrum = self._ungroup(torch.matmul(self._rows(x), banks.transpose(-1, -2)))
        return keep_strided(self._cut(spectrum, (0,) * self.shape.dims, self.shape.dense_out), self.shape)

    def input(self, g: Tensor, w: Tensor) -> Tensor:
        """(N, C, H)."""
        if is_depthwise(self.shape):
            spectrum = g * w[:, 0]
        else:
            spectrum = self._ungroup(torch.matmul(self._rows(g), self._banks(w)))
        return self._cut(spectrum, tuple(before for before, _ in self.shape.pad), self.shape.size)

    def kernels(self, x: Tensor, g: Tensor) -> Tensor:
        """(K, C/G, R)."""
        shape = self.shape
        if is_depthwise(shape):
            spectrum = torch.mul(x[0], g[0].conj()).unsqueeze(1)
            for image in range(1, shape.batch):
                spectrum[:, 0].addcmul_(x[image], g[image].conj().resolve_conj())
        else:
            grads = self._rows(g).conj().resolve_conj().transpose(-1, -2)
            product = torch.matmul(grads, self._rows(x))  # (f, G, K/G, C/G)
            spectrum = product.permute(1, 2, 3, 0).reshape(shape.k, shape.c // shape.groups, *x.shape[2:])
        return undilate(self._cut(spectrum, (0,) * shape.dims, shape.reach), shape)

    def _rows(self, spectrum: Tensor) -> Tensor:
        """(N, G C/G, f) as (f, G, N, C/G)."""
        first, channels, count = spectrum.shape[0], spectrum.shape[1], prod(spectrum.shape[2:])
        groups = self.shape.groups
        return spectrum.reshape(first, groups, channels // groups, count).permute(3, 1, 0, 2).contiguous()

    def _banks(self, spectrum: Tensor) -> Tensor:
        """(K, C/G, f) as (f, G, K/G, C/G)."""
        k, c, count = spectrum.shape[0], spectrum.shape[1], prod(spectrum.shape[2:])
        groups = self.shape.groups
        return spectrum.reshape(groups, k // groups, c, count).permute(3, 0, 1, 2).contiguous()

    def _ungroup(self, product: Tensor) -> Tensor:
        """(f, G, N, C/G) as (N, C, f)."""
        _, groups, first, channels = product.shape
        half = (*self.n[:-1], self.n[-1] // 2 + 1)
        return product.permute(2, 1, 3, 0).reshape(first, groups * channels, *half)

    def _cut(self, spectrum: Tensor, starts: tuple[int, ...], counts: tuple[int, ...]) -> Tensor:
        """Back, dim by dim, each dim cut to what is read before the next one is transformed."""
        dims = self.shape.dims
        for axis in range(dims - 1):
            spectrum = torch.fft.ifft(spectrum, dim=2 + axis).narrow(2 + axis, starts[axis], counts[axis])
        image: Tensor = torch.fft.irfft(spectrum, n=self.n[-1], dim=-1)
        return image.narrow(-1, starts[-1], counts[-1]).contiguous()


@cache
def _angles(rows: int, count: int, start: int, n: int) -> Tensor:
    """2 pi f t / n for f below `rows` and `count` times t from `start`, reduced so that float64 is exact to a bit."""
    turns = torch.outer(torch.arange(rows), torch.arange(start, start + count)) % n
    return turns.double() * (2 * pi / n)


@lru_cache(maxsize=256)
def _half(count: int, start: int, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Real values to half a spectrum: ((f, 2), count)."""
    angles = _angles(n // 2 + 1, count, start, n)
    return torch.stack([angles.cos(), -angles.sin()], 1).reshape(-1, count).to(device, dtype)


@lru_cache(maxsize=256)
def _full(count: int, start: int, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Complex values to a whole spectrum: ((f, 2), (2, count))."""
    angles = _angles(n, count, start, n)
    real = torch.cat([angles.cos(), angles.sin()], 1)
    imaginary = torch.cat([-angles.sin(), angles.cos()], 1)
    return torch.stack([real, imaginary], 1).reshape(2 * n, 2 * count).to(device, dtype)


@lru_cache(maxsize=256)
def _unfull(count: int, start: int, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A whole spectrum to complex values: ((2, count), (f, 2))."""
    angles = _angles(n, count, start, n).T
    real = torch.stack([angles.cos(), -angles.sin()], 2).reshape(count, 2 * n)
    imaginary = torch.stack([angles.sin(), angles.cos()], 2).reshape(count, 2 * n)
    return (torch.cat([real, imaginary]) / n).to(device, dtype)


@lru_cache(maxsize=256)
def _unhalf(count: int, start: int, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Half a spectrum to real values: (count, (f, 2)); all but the ends count for their conjugates too."""
    rows = n // 2 + 1
    angles = _angles(rows, count, start, n).T
    twice = torch.full((rows,), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if n % 2 == 0:
        twice[-1] = 1.0
    values = torch.stack([angles.cos() * twice, -angles.sin() * twice], 2).reshape(count, 2 * rows)
    return (values / n).to(device, dtype)


@dataclass(frozen=True, slots=True)
class Dft:
    """As matrix products; 1 or 2 dims."""

    shape: Geometry
    n: tuple[int, ...]

    @classmethod
    def of(cls, shape: Geometry) -> Dft:
        """At the shortest length, round or not."""
        return cls(shape, exact_lengths(shape))

    def of_input(self, x: Tensor) -> Tensor:
        """(f, 2, N, C)."""
        return self._spectrum(x, tuple(before for before, _ in self.shape.pad))

    def of_kernels(self, w: Tensor) -> Tensor:
        """(f, 2, K, C/G)."""
        return self._spectrum(dilate(w, self.shape), (0,) * self.shape.dims)

    def of_output(self, g: Tensor) -> Tensor:
        """(f, 2, N, K)."""
        return self._spectrum(unstride(g, self.shape), (0,) * self.shape.dims)

    def output(self, x: Tensor, w: Tensor) -> Tensor:
        """(N, K, out): real parts add XiWi, imaginary ones take XrWi away."""
        return keep_strided(
            self._cut(self._multiply(x, w, -1), (0,) * self.shape.dims, self.shape.dense_out), self.shape
        )

    def input(self, g: Tensor, w: Tensor) -> Tensor:
        """(N, C, H)."""
        return self._cut(self._multiply(g, w, 1), tuple(b for b, _ in self.shape.pad), self.shape.size)

    def kernels(self, x: Tensor, g: Tensor) -> Tensor:
        """(K, C/G, R)."""
        shape = self.shape
        turned = torch.stack([-g[:, 1], g[:, 0]], 1)
        if is_depthwise(shape):
            spectrum = torch.stack([(x * g).sum((1, 2)), (x * turned).sum((1, 2))], 1).unsqueeze(-1)
        else:
            rows, grads, turns = (self._rows(values) for values in (x, g, turned))
            real, imaginary = torch.bmm(grads.mT, rows), torch.bmm(turns.mT, rows)
            spectrum = torch.stack([part.view(x.shape[0], shape.k, -1) for part in (real, imaginary)], 1)
        return undilate(self._cut(spectrum, (0,) * shape.dims, shape.reach), shape)

    def _multiply(self, x: Tensor, w: Tensor, sign: int) -> Tensor:
        """X W (sign 1) or X conj(W) (sign -1), summed over the channels of a group."""
        if is_depthwise(self.shape):
            banks = w.transpose(-1, -2)
            product = x * banks[:, :1]
            product[:, 0].addcmul_(x[:, 1], banks[:, 1], value=-sign)
            product[:, 1].addcmul_(x[:, 0], banks[:, 1], value=sign)
            return product
        rows = self._rows(x)
        shape = self.shape
        real, imaginary = w[:, 0], w[:, 1]
        if shape.groups > 1:
            split = (-1, shape.k // shape.groups, shape.c // shape.groups)
            real, imaginary = real.reshape(split), imaginary.reshape(split)
        if sign < 0:
            real, imaginary = real.mT, imaginary.mT
        product, cross = self._unrow(torch.bmm(rows, real)), self._unrow(torch.bmm(rows, imaginary))
        product[:, 0].sub_(cross[:, 1], alpha=sign)
        product[:, 1].add_(cross[:, 0], alpha=sign)
        return product

    def _rows(self, x: Tensor) -> Tensor:
        """(f, 2, N, C) as (f G, 2 N, C/G)."""
        groups = self.shape.groups
        rows = x.view(x.shape[0], -1, groups, x.shape[-1] // groups)
        return rows.squeeze(2) if groups == 1 else rows.transpose(1, 2).reshape(-1, rows.shape[1], rows.shape[3])

    def _unrow(self, rows: Tensor) -> Tensor:
        """(f G, 2 N, C/G) as (f, 2, N, C)."""
        groups = self.shape.groups
        if groups > 1:
            rows = (
                rows.view(-1, groups, *rows.shape[1:])
                .transpose(1, 2)
                .reshape(-1, rows.shape[1], groups * rows.shape[2])
            )
        return rows.view(rows.shape[0], 2, -1, rows.shape[-1])

    def _spectrum(self, x: Tensor, starts: tuple[int, ...]) -> Tensor:
        first, channels, sizes = x.shape[0], x.shape[1], x.shape[2:]
        behind = x.permute(*range(2, x.ndim), 0, 1).reshape(sizes[0], -1)
        spectrum = _half(sizes[0], starts[0], self.n[0], x.dtype, x.device) @ behind
        if len(sizes) == 2:
            full = _full(sizes[1], starts[1], self.n[1], x.dtype, x.device)
            spectrum = torch.matmul(full, spectrum.view(-1, 2 * sizes[1], first * channels))
        return spectrum.view(-1, 2, first, channels)

    def _cut(self, spectrum: Tensor, starts: tuple[int, ...], counts: tuple[int, ...]) -> Tensor:
        _, _, first, channels = spectrum.shape
        dtype, device = spectrum.dtype, spectrum.device
        values = spectrum.reshape(self.n[0] // 2 + 1, -1, first * channels)
        if len(counts) == 2:
            values = torch.matmul(_unfull(counts[1], starts[1], self.n[1], dtype, device), values)
        last = values.reshape(2 * (self.n[0] // 2 + 1), -1)
        image = _unhalf(counts[0], starts[0], self.n[0], dtype, device) @ last
        back = image.view(*counts, first, channels)
        return back.permute(-2, -1, *range(len(counts))).contiguous()
