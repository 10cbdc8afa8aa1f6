"""Which algorithm for each of the three passes of a tensor's convolution, timed once and remembered.

The closed forms leave out what is hopeless. What is left runs on random tensors of the geometry, each pass apart and,
for the backward passes of a spectral forward, with its spectra at hand. The few mixes whose sums are the least then run
in turns as whole steps, through autograd, since a sum leaves out what its parts cost together; the soonest is kept, in
memory and by `remember` in a file. A choice is of one geometry, type, device and number of threads.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from math import prod
from statistics import median
from typing import Any

import torch
from torch import Tensor

from rigwise.convolution import choose, remembered
from rigwise.convolution.algorithms import PASSES, Pass
from rigwise.convolution.choose import LIBRARY, PADDED, SPECTRAL, TORCH
from rigwise.convolution.geometry import Geometry
from rigwise.convolution.torch_kernels.passes import OWN, PLANE, cannot, even_pad, library_backward, run_pass, transform
from rigwise.convolution.torch_kernels.transforms import Transform

HOPELESS = 8.0
"""What the closed forms see this many times behind the best is not timed."""
_OWN_GRACE = 3.0  # torch's own kernels differ more from machine to machine than products and transforms do
_NOT_NEAR = 10.0  # where torch's own is the best and spectra are this far behind, none of them is timed
_MUCH_PADDING = 2  # from here on torch's own may be quicker on an input that is padded first
_CLEARLY = 1.5  # what one run finds this many times behind the best is not run again
_MARGIN = 0.97  # what is no sooner than this share of torch's own leaves it to torch
_FINAL, _FINAL_NEAR, _ALIKE_NEAR = 8, 1.6, 2.5  # mixes that run as whole steps, and how far their sums may be behind
_FINAL_S, _FIRST_ROUNDS, _LEAST_ROUNDS, _MOST_ROUNDS = 0.06, 4, 11, 200  # of each of them
_FUNCTION_S = 25e-6  # what a function of Python's costs autograd, forward and backward
_RUNS, _LONG, _LONG_S = 5, 2, 0.1
_ENOUGH_S = 3e-3  # what is short runs until it ran as long
_MOST_RUNS = 30
_FEW, _FEW_TAPS = 3, 9
_TOGETHER, _OUTPUT = "both gradients", "spectrum of the output's gradient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The algorithm of each pass, and their predicted or measured seconds (0 where not asked)."""

    shape: Geometry
    forward: str
    input_gradient: str
    weight_gradient: str
    basis: str

    native: tuple[Any, ...] | None = field(init=False, default=None)
    """What torch's own convolution takes, where it does all three passes and needs no zeros written first."""

    def __post_init__(self) -> None:
        pad = even_pad(self.shape)
        if pad is not None and self.forward == self.input_gradient == self.weight_gradient == LIBRARY:
            s = self.shape
            native = (s.stride, pad, s.dilation, False, (0,) * s.dims, s.groups)
            object.__setattr__(self, "native", native)

    def shares(self, gradient: Pass) -> Transform | None:
        """The transform whose spectra the forward pass hands on to a backward pass, if both use it."""
        if self.forward == getattr(self, gradient) and self.forward in SPECTRAL:
            return transform(self.forward, self.shape)
        return None


def forced(name: str, shape: Geometry) -> Plan:
    """One algorithm for all passes."""
    return Plan(shape=shape, forward=name, input_gradient=name, weight_gradient=name, basis="asked")


def small(w: Sequence[int]) -> bool:
    """Whether kernels (K, C/G, sizes) are so few taps that no other algorithm saves work: 1x1, 3x3 of channels.

    >>> small((8, 8, 1, 1)), small((8, 1, 3, 3)), small((1, 1, 3, 3)), small((8, 8, 5, 5))
    (True, True, False, False)
    """
    taps = prod(w[2:])
    return taps == 1 or (taps <= _FEW_TAPS and max(w[2:]) <= _FEW and w[0] * w[1] > 1)


def candidates(which: Pass, shape: Geometry, element: int, threads: int, device: str = "cpu") -> list[str]:
    """What is worth timing for a pass, soonest predicted first. The closed forms are of CPUs: elsewhere all is."""
    if shape.strided or small(shape.w_shape):  # strided: every position would be computed to throw most away
        return [LIBRARY]
    padded = max(max(pair) for pair in shape.pad) >= _MUCH_PADDING
    names = [name for name in TORCH if (padded or name != PADDED) and not cannot(name, shape)]
    found = choose.ranked(names, which, shape, element, "torch", threads)
    if device != "cpu":
        return [name for _, name in found]
    if which == "forward" and not cannot(PLANE, shape):
        return [name for _, name in found] + [PLANE]  # one image is soon timed
    best = found[0][0]
    spectral = min((seconds for seconds, name in found if name in SPECTRAL), default=float("inf"))
    if spectral > _NOT_NEAR * best:
        return [name for _, name in found if name in (LIBRARY, PADDED)]
    own = HOPELESS * _OWN_GRACE
    return [name for seconds, name in found if seconds < (own if name in (LIBRARY, PADDED) else HOPELESS) * best]


def by_model(shape: Geometry, element: int, threads: int) -> Plan:
    """The closed forms' choice, without timing anything."""
    best = [candidates(which, shape, element, threads)[0] for which in PASSES]
    return Plan(shape=shape, forward=best[0], input_gradient=best[1], weight_gradient=best[2], basis="closed forms")


Work = Callable[[], object]
Whole = Callable[[], Callable[[Plan], Work]]


def by_trial(
    shape: Geometry,
    dtype: torch.dtype,
    device: torch.device,
    gradients: bool,
    whole: Whole | None = None,
    turned: bool = False,
) -> Plan:
    """The measured choice: from memory, from the file, or timed now.

    whole: makes what makes the whole step of a plan, through autograd; without it the sums of the passes decide.
    turned: whether it turns the kernels first.
    """
    threads, element = torch.get_num_threads(), torch.empty((), dtype=dtype).element_size()
    passes: tuple[Pass, ...] = PASSES if gradients else PASSES[:1]
    worth = {which: candidates(which, shape, element, threads, device.type) for which in passes}
    if all(len(names) == 1 for names in worth.values()):
        best = tuple(names[0] for names in worth.values())
        return plan_of(shape, best, "closed forms: nothing else comes near")
    key = f"{dtype} {device.type} {threads} threads {torch.__version__} {gradients} {turned} of {len(OWN)} {shape}"
    known = remembered.recall(key)
    if known is None or any(name not in OWN or cannot(name, shape) for name in known):
        times = time_all(shape, dtype, device, worth)
        known = soonest(times) if whole is None else _soonest_whole(shape, times, whole, device)
        remembered.remember(key, known)
    return plan_of(shape, known, "timed on this machine")


def _soonest_whole(shape: Geometry, times: Times, whole: Whole, device: torch.device) -> tuple[str, ...]:
    """The soonest as a whole step of those whose sums are near the least; torch's own unless something beats it."""
    finals = finalists(times)
    if len(finals) == 1:
        return finals[0]
    step = whole()
    medians = _raced({names: step(plan_of(shape, names, "")) for names in finals}, device)
    found = min(medians, key=lambda names: medians[names])
    own = [names for names in medians if set(names) == {LIBRARY}]
    return own[0] if own and medians[found] > _MARGIN * medians[own[0]] else found


def _raced(works: dict[tuple[str, ...], Work], device: torch.device) -> dict[tuple[str, ...], float]:
    """The median seconds of each, in rounds of all in ever another order; who falls behind leaves."""
    for work in works.values():
        _once(work, device)
    took: dict[tuple[str, ...], list[float]] = {names: [] for names in works}
    order, draw, spent = list(works), random.Random(0), 0.0
    for count in range(_MOST_ROUNDS):
        draw.shuffle(order)
        for names in order:
            took[names].append(_once(works[names], device))
            spent += took[names][-1]
        leasts = {names: min(took[names]) for names in order}  # for what lies between is other work on the machine
        least = min(leasts.values())
        if count + 1 >= _FIRST_ROUNDS:
            order = [names for names in order if leasts[names] < _CLEARLY * least]
        if spent > _FINAL_S * len(works) and (count + 1 >= _LEAST_ROUNDS or least > _LONG_S):
            break
    return {names: median(took[names]) for names in order}


def finalists(times: Times) -> list[tuple[str, ...]]:
    """The mixes of algorithms whose sums are the least, and one algorithm for all passes where that is near."""
    ranking = sorted(_mixes(times), key=lambda names: total(times, names))
    least = total(times, ranking[0])
    found = [names for names in ranking[:_FINAL] if total(times, names) < _FINAL_NEAR * least]
    alike = [names for names in ranking if len(set(names)) == 1 and total(times, names) < _ALIKE_NEAR * least]
    return list(dict.fromkeys([*found, *alike]))


def _mixes(times: Times) -> list[tuple[str, ...]]:
    by_pass = {which: [name for p, name in times if p == which and not name.startswith("shared")] for which in PASSES}
    return list(product(*(by_pass[which] for which in PASSES if by_pass[which])))


def plan_of(shape: Geometry, best: tuple[str, ...], basis: str) -> Plan:
    """The plan of these algorithms, one a pass; torch's own where none is named."""
    three = (*best, LIBRARY, LIBRARY)[:3]
    return Plan(shape=shape, forward=three[0], input_gradient=three[1], weight_gradient=three[2], basis=basis)


Times = dict[tuple[str, str], float]


def time_all(shape: Geometry, dtype: torch.dtype, device: torch.device, worth: dict[Pass, list[str]]) -> Times:
    """Seconds by pass and algorithm; and, as "shared", of a backward pass with the forward's spectra at hand."""
    x, w, g = (torch.rand(s, dtype=dtype, device=device) for s in (shape.x_shape, shape.w_shape, shape.y_shape))
    given = {"forward": (x, w), "input_gradient": (g, w), "weight_gradient": (x, g)}
    times: Times = {}
    with torch.no_grad():
        for which, names in worth.items():
            best = float("inf")
            for name in names:
                if name == PLANE:
                    run_pass(which, name, *given[which], shape)  # the first one imports its transforms
                took = _timed(partial(run_pass, which, name, *given[which], shape), best, device)
                times[which, name] = took
                best = min(best, took)
        _time_shared(shape, times, x, w, g, device)
        _time_together(shape, times, x, w, g, device)
    return times


def _time_shared(shape: Geometry, times: Times, x: Tensor, w: Tensor, g: Tensor, device: torch.device) -> None:
    for name in SPECTRAL:
        by = transform(name, shape) if ("forward", name) in times and not cannot(name, shape) else None
        if by is None:
            continue
        spectra = by.of_input(x), by.of_kernels(w)
        times[_OUTPUT, name] = _timed(lambda t=by: t.of_output(g), float("inf"), device)  # type: ignore[misc]
        if ("input_gradient", name) in times:
            work = lambda t=by, s=spectra: t.input(t.of_output(g), s[1])  # noqa: E731
            times["input_gradient", f"shared {name}"] = _timed(work, float("inf"), device)
        if ("weight_gradient", name) in times:
            work = lambda t=by, s=spectra: t.kernels(s[0], t.of_output(g))  # noqa: E731
            times["weight_gradient", f"shared {name}"] = _timed(work, float("inf"), device)


def _time_together(shape: Geometry, times: Times, x: Tensor, w: Tensor, g: Tensor, device: torch.device) -> None:
    """Torch's own two gradients in one call, which is less than both apart."""
    for name in (LIBRARY, PADDED):
        apart = [times.get((which, name)) for which in PASSES[1:]]
        if None not in apart:
            work = lambda n=name: library_backward(g, x, w, shape, n == PADDED, (True, True))  # noqa: E731
            rest = min((seconds for (which, _), seconds in times.items() if which == PASSES[2]), default=0.0)
            times[_TOGETHER, name] = _timed(work, rest + (times[PASSES[1], name]), device)


def _timed(work: Callable[[], object], best: float, device: torch.device) -> float:
    """The least seconds of a few runs after a first; of the first alone where that is hopeless."""
    took = _once(work, device)
    if took < _LONG_S:  # a first run makes what later ones find made
        took = min(took, _once(work, device))
    if took > 2 * _CLEARLY * best:
        return took
    runs = _LONG if took > _LONG_S else min(max(_RUNS, int(_ENOUGH_S / took)), _MOST_RUNS)
    for _ in range(runs):
        again = _once(work, device)
        took = min(took, again)
        if took > _CLEARLY * best:
            break
    return took


def _once(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def total(times: Times, names: tuple[str, ...]) -> float:
    """Seconds of the passes by these algorithms, less what one saves by another's spectra."""
    spent = times["forward", names[0]]
    if names[1:] == (names[-1],) * 2 and (_TOGETHER, names[1]) in times:
        own = len(set(names)) == 1
        return spent + times[_TOGETHER, names[1]] + (0.0 if own else _FUNCTION_S)
    for which, name in zip(PASSES[1:], names[1:]):
        shared = times.get((which, f"shared {name}")) if name == names[0] else None
        spent += times[which, name] if shared is None else min(shared, times[which, name])
    if len(names) == len(PASSES) and names[1] == names[2]:
        spent -= times.get((_OUTPUT, names[1]), 0.0)
    return spent + (0.0 if set(names) in ({LIBRARY}, {PADDED}) else _FUNCTION_S)


def soonest(times: Times) -> tuple[str, ...]:
    """The mix of algorithms with the least sum."""
    return min(_mixes(times), key=lambda names: total(times, names))
