"""`conv` of tensors: torch's own where that is soonest, else a function whose three passes each have their algorithm.

Spectra that a forward pass made and a backward pass reads again are kept, up to a bound for the whole process; beyond
it they are made again. In evaluation the kernels' spectrum is kept as long as the kernels stay the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rigwise.convolution.algorithms import Pass
from rigwise.convolution.choose import LIBRARY, PADDED, SPECTRAL
from rigwise.convolution.geometry import Geometry, Kind, Padding, Sizes, geometry, transposed_geometry
from rigwise.convolution.quick import QUICK
from rigwise.convolution.torch_kernels.choice import Plan, by_model, by_trial, forced
from rigwise.convolution.torch_kernels.memory import KERNELS, Kept
from rigwise.convolution.torch_kernels.passes import (
    NAMES,
    PLANE,
    cannot,
    even_pad,
    library_backward,
    library_forward,
    plane,
    run_pass,
    transform,
)
from rigwise.errors import UsageError, not_found

_OWN = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
FLOATS = (torch.float32, torch.float64)
_plans: OrderedDict[Any, Plan] = OrderedDict()
_MOST_PLANS = 4096


def conv(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    algorithm: str = "auto",
    kind: Kind = "cross-correlation",
    transposed: bool = False,
    output_padding: Sizes = 0,
) -> Tensor:
    """`rigwise.convolution.conv` for tensors, with gradients. algorithm: "auto" times what is worth it once a
    geometry and keeps the soonest; "model" takes the closed forms' choice; else a name of `passes.NAMES`."""
    if not isinstance(w, Tensor):
        raise UsageError(f"kernels of type {type(w).__name__} for a tensor", rule="both tensors, or both arrays")
    gradients = _asked(x, w)
    sizes = (stride, padding, dilation, groups)
    plan = plan_of(x, w, bias, sizes, gradients, algorithm, kind, transposed, output_padding)
    if kind == "convolution":
        if plan.forward == PLANE and not gradients and not transposed:
            return _with_bias(plane(x, w, plan.shape, turned=True), bias)
        w = w.flip(tuple(range(2, w.ndim)))
    if transposed:
        return apply_transposed(x, w, bias, plan, gradients)
    if kind == "cross-correlation":
        _shorten(x, w, (*sizes, algorithm, kind), plan, gradients)
    return apply(x, w, bias, plan, gradients)


def plan_of(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    sizes: tuple[Sizes, Padding, Sizes, int],
    gradients: bool,
    algorithm: str = "auto",
    kind: Kind = "cross-correlation",
    transposed: bool = False,
    output_padding: Sizes = 0,
) -> Plan:
    """The plan of a convolution of tensors, made at its first. sizes: stride, padding, dilation, groups."""
    if output_padding != 0 and not transposed:
        raise UsageError(f"output_padding={output_padding}", rule="output_padding is of a transposed convolution")
    _check(x, w, bias)
    what = (algorithm, transposed, kind, output_padding) if transposed or algorithm != "auto" else kind
    key = (x.shape, w.shape, x.dtype, x.device, gradients, torch.get_num_threads(), *sizes, what)
    try:
        plan = _plans.get(key)
    except TypeError:  # lists cannot be looked up
        key = tuple(_word(part) for part in key)
        plan = _plans.get(key)
    if plan is not None:
        return plan
    cast = torch.is_autocast_enabled(x.device.type)
    if cast and algorithm in ("auto", "model"):
        algorithm = LIBRARY  # torch casts its own as it likes
    named: dict[str, Any] = dict(zip(("stride", "padding", "dilation", "groups"), sizes))
    if transposed:
        shape = transposed_geometry(x.shape, w.shape, output_padding=output_padding, kind=kind, **named)
    else:
        shape = geometry(x.shape, w.shape, kind=kind, **named)
    plan = plan_for(shape, x, algorithm, gradients, turned=kind == "convolution" and not transposed)
    if not cast:
        _keep(key, plan)
    return plan


def _word(part: Any) -> Any:
    return tuple(_word(entry) for entry in part) if isinstance(part, list | tuple) else part


def _keep(key: Any, plan: Plan) -> None:
    _plans[key] = plan
    if len(_plans) > _MOST_PLANS:
        _plans.popitem(last=False)


def _shorten(x: Tensor, w: Tensor, named: tuple[Any, ...], plan: Plan, gradients: bool) -> None:
    """Let the next such call of `conv` go straight to torch's own: what is best for a step also serves without one."""
    if plan.native is None or torch.is_autocast_enabled(x.device.type):
        return
    if len(QUICK) >= _MOST_PLANS:
        QUICK.clear()
    threads = torch.get_num_threads
    stride, pad, dilation, *_, groups = plan.native
    own = _OWN[plan.shape.dims - 1], (stride, pad, dilation, groups)
    try:
        QUICK[(x.shape, w.shape, x.dtype, x.device, *named)] = (*own, threads, threads(), None if gradients else _asked)
    except TypeError:
        return  # lists cannot be looked up


def _asked(x: Tensor, w: Tensor) -> bool:
    """Whether gradients are."""
    return torch.is_grad_enabled() and (x.requires_grad or w.requires_grad)


def _check(x: Tensor, w: Tensor, bias: Tensor | None) -> None:
    """Refuse tensors that do not go together."""
    cast = torch.is_autocast_enabled(x.device.type)
    if (x.dtype != w.dtype and not cast) or x.device != w.device:
        raise UsageError(f"an input of {x.dtype} on {x.device}, kernels of {w.dtype} on {w.device}", rule="the same")
    if x.is_complex():
        raise UsageError(f"an input of {x.dtype}", rule="real numbers", nearest="float32")
    if bias is not None and bias.ndim != 1:
        raise UsageError(f"a bias of {bias.ndim} dims", rule="one number a channel of the output")


def plan_for(shape: Geometry, x: Tensor, algorithm: str, gradients: bool, turned: bool = False) -> Plan:
    """The algorithms for a geometry; what is not float32 or float64 is torch's own business.

    turned: the kernels are turned for each call, so that their spectrum is never that of the last one.
    """
    if algorithm not in ("auto", "model"):
        if algorithm not in NAMES:
            raise not_found("algorithm", algorithm, NAMES, hint=", ".join(("auto", *NAMES)))
        if why := cannot(algorithm, shape):
            raise UsageError(f"{algorithm} on this convolution", rule=why, nearest="auto")
        if algorithm not in (LIBRARY, PADDED) and x.dtype not in FLOATS:
            raise UsageError(f"{algorithm} in {x.dtype}", rule="float32 or float64", nearest="auto")
        return forced(algorithm, shape)
    if x.dtype not in FLOATS or x.device.type == "meta" or 0 in x.shape:
        return forced(LIBRARY, shape)
    if algorithm == "model":
        return by_model(shape, x.element_size(), torch.get_num_threads())
    whole = partial(steps, shape, x, gradients, turned)
    return by_trial(shape, x.dtype, x.device, gradients, whole, turned)


def steps(
    shape: Geometry, like: Tensor, gradients: bool, turned: bool = False
) -> Callable[[Plan], Callable[[], object]]:
    """Makes the whole step of a plan, through autograd where gradients are asked for; all on the same random tensors,
    since where in memory they lie is felt."""
    x, w, g = (
        torch.rand(size, dtype=like.dtype, device=like.device) for size in (shape.x_shape, shape.w_shape, shape.y_shape)
    )
    if not gradients:
        dims = tuple(range(2, w.ndim)) if turned else ()
        return lambda plan: lambda: apply(x, w.flip(dims) if dims else w, None, plan, False)
    x.requires_grad_()
    w.requires_grad_()
    return lambda plan: lambda: torch.autograd.grad(apply(x, w, None, plan, True), (x, w), g)


def apply(x: Tensor, w: Tensor, bias: Tensor | None, plan: Plan, gradients: bool) -> Tensor:
    """A convolution as planned."""
    if plan.native is not None:
        return torch.convolution(x, w, bias, *plan.native)
    forward_only = not gradients and plan.forward in (LIBRARY, PADDED)
    if forward_only or plan.forward == plan.input_gradient == plan.weight_gradient == PADDED:
        y = library_forward(x, w, plan.shape, plan.forward == PADDED)
    elif gradients:
        return _applied(Convolution, x, w, bias, plan)
    else:
        y = _evaluate(x, w, plan)
    return _with_bias(y, bias)


def _applied(kind: type[torch.autograd.Function], *given: Any) -> Tensor:
    run: Callable[..., Tensor] = kind.apply
    return run(*given)


def apply_transposed(x: Tensor, w: Tensor, bias: Tensor | None, plan: Plan, gradients: bool) -> Tensor:
    """A transposed convolution: the input gradient of the plan's geometry."""
    shape = plan.shape
    pad = even_pad(shape)
    if plan.native is not None and pad is not None:
        whole = [(o - 1) * s + r - 2 * b for o, s, r, (b, _) in zip(x.shape[2:], shape.stride, shape.reach, shape.pad)]
        extra = tuple(h - least for h, least in zip(shape.size, whole))
        run: Any = _TRANSPOSED[shape.dims - 1]
        y: Tensor = run(x, w, bias, shape.stride, pad, extra, shape.groups, shape.dilation)
        return y
    if gradients:
        return _applied(Transposed, x, w, bias, plan)
    return _with_bias(run_pass("input_gradient", plan.input_gradient, x, w, shape), bias)


def _with_bias(y: Tensor, bias: Tensor | None) -> Tensor:
    """The bias added, in place where autograd does not watch; a tensor of its own, which others may write to.

    A function's output that is a view must not be written to, and layers such as ReLU(inplace=True) do: `.data` is
    the same memory and no view.
    """
    if bias is None:
        return y.data if y._is_view() else y
    if y.requires_grad or (bias.requires_grad and torch.is_grad_enabled()):
        return y + bias.view(-1, *(1,) * (y.ndim - 2))
    return y.data.add_(bias.detach().view(-1, *(1,) * (y.ndim - 2)))


def _bias_gradient(ctx: Any, g: Tensor) -> Tensor | None:
    return g.sum((0, *range(2, g.ndim))) if ctx.needs_input_grad[2] else None


def _evaluate(x: Tensor, w: Tensor, plan: Plan) -> Tensor:
    by = transform(plan.forward, plan.shape) if plan.forward in SPECTRAL else None
    if by is None:
        return run_pass("forward", plan.forward, x, w, plan.shape)
    return by.output(by.of_input(x), KERNELS.spectrum(w, (plan.forward, plan.shape), lambda: by.of_kernels(w)))


class Convolution(torch.autograd.Function):
    """The forward pass and its two gradients, each by its own algorithm."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
        """Y from x and w."""
        ctx.save_for_backward(x, w)
        ctx.plan, ctx.kept = plan, None
        by = transform(plan.forward, plan.shape) if plan.forward in SPECTRAL else None
        if by is None:
            return _with_bias(run_pass("forward", plan.forward, x, w, plan.shape), bias)
        spectra = by.of_input(x), by.of_kernels(w)
        wanted = (
            spectra[0] if ctx.needs_input_grad[1] and plan.shares("weight_gradient") else None,
            spectra[1] if ctx.needs_input_grad[0] and plan.shares("input_gradient") else None,
        )
        ctx.kept = Kept.of(wanted)
        return _with_bias(by.output(*spectra), bias)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, w and bias from g; gradients of these in turn are the other two functions' below."""
        x, w = ctx.saved_tensors
        plan: Plan = ctx.plan
        need_x, need_w = ctx.needs_input_grad[:2]
        g = g.contiguous()
        if torch.is_grad_enabled():
            dx = _along("input_gradient", g, w, plan) if need_x else None
            return dx, _along("weight_gradient", x, g, plan) if need_w else None, _bias_gradient(ctx, g), None
        names = (plan.input_gradient, plan.weight_gradient)
        if names[0] == names[1] and names[0] in (LIBRARY, PADDED):
            dx, dw = library_backward(g, x, w, plan.shape, names[0] == PADDED, (need_x, need_w))
            return dx, dw, _bias_gradient(ctx, g), None
        kept = ctx.kept or Kept.of((None, None))
        made: dict[str, Tensor] = {}
        dx = _input_gradient(g, w, plan, kept.kernels, made) if need_x else None
        dw = _weight_gradient(x, g, plan, kept.input, made) if need_w else None
        return dx, dw, _bias_gradient(ctx, g), None


def _input_gradient(g: Tensor, w: Tensor, plan: Plan, kernels: Tensor | None, made: dict[str, Tensor]) -> Tensor:
    by = transform(plan.input_gradient, plan.shape) if plan.input_gradient in SPECTRAL else None
    if by is None:
        return run_pass("input_gradient", plan.input_gradient, g, w, plan.shape)
    made[plan.input_gradient] = by.of_output(g)
    return by.input(made[plan.input_gradient], by.of_kernels(w) if kernels is None else kernels)


def _weight_gradient(x: Tensor, g: Tensor, plan: Plan, kept: Tensor | None, made: dict[str, Tensor]) -> Tensor:
    by = transform(plan.weight_gradient, plan.shape) if plan.weight_gradient in SPECTRAL else None
    if by is None:
        return run_pass("weight_gradient", plan.weight_gradient, x, g, plan.shape)
    output = made.get(plan.weight_gradient)
    output = by.of_output(g) if output is None else output
    return by.kernels(by.of_input(x) if kept is None else kept, output)


class Transposed(torch.autograd.Function):
    """The input gradient as a forward pass: its own gradients are the forward pass and the weight gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
        """The transposed convolution of x."""
        return _with_bias(_begun(ctx, "input_gradient", x, w, plan), bias)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """G goes forward; the kernels' gradient has g as its input and x as its output's gradient."""
        x, w = ctx.saved_tensors
        need_x, need_w = ctx.needs_input_grad[:2]
        g = g.contiguous()
        dx = _along("forward", g, w, ctx.plan) if need_x else None
        dw = _along("weight_gradient", g, x, ctx.plan) if need_w else None
        return dx, dw, _bias_gradient(ctx, g), None


class Weights(torch.autograd.Function):
    """The kernels' gradient as a forward pass, for gradients of gradients: linear in x and in g."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, bias: None, plan: Plan) -> Tensor:
        """The kernels' gradient from the input and the output's gradient."""
        return _with_bias(_begun(ctx, "weight_gradient", x, g, plan), None)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        """V, as kernels, goes back with g and forward with x."""
        x, g = ctx.saved_tensors
        need_x, need_g = ctx.needs_input_grad[:2]
        v = v.contiguous()
        dx = _along("input_gradient", g, v, ctx.plan) if need_x else None
        return dx, _along("forward", x, v, ctx.plan) if need_g else None, None, None


_FUNCTIONS: dict[Pass, type[torch.autograd.Function]] = {
    "forward": Convolution,
    "input_gradient": Transposed,
    "weight_gradient": Weights,
}


def _begun(ctx: Any, which: Pass, first: Tensor, second: Tensor, plan: Plan) -> Tensor:
    """A pass, its two tensors kept for the backward pass."""
    ctx.save_for_backward(first, second)
    ctx.plan = plan
    return run_pass(which, getattr(plan, which), first, second, plan.shape)


def _along(which: Pass, first: Tensor, second: Tensor, plan: Plan) -> Tensor:
    """A pass within a backward pass; as a function of its own where gradients of gradients are asked for."""
    if torch.is_grad_enabled():
        return _applied(_FUNCTIONS[which], first, second, None, plan)
    return run_pass(which, getattr(plan, which), first, second, plan.shape)
