"""The convolution laboratory, drawn in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from rigwise import units
from rigwise.cli.tables import Column, facts, table

if TYPE_CHECKING:
    from rigwise.convolution.diffusion import Diffusion
    from rigwise.convolution.features import Domains, Features
    from rigwise.convolution.learned import Learned
    from rigwise.convolution.series import Smoothed
    from rigwise.convolution.spectrum import Passed
    from rigwise.convolution.template import Search
    from rigwise.cost.layercost import LayerCost, WinMap
    from rigwise.models.reach import Reach

_PASSES = {"forward": "forward", "input_gradient": "input gradient", "weight_gradient": "weight gradient"}
_LAW = (
    "Times are of single calls by the laws of cost/algorithms.py; the Fourier law was fitted at windows of 32 and is "
    "extended to others."
)


def by(sizes: Sequence[int]) -> str:
    """Sizes with x between."""
    return " x ".join(f"{n:,}" for n in sizes)


def _field(reach: Reach | None, last: Reach | None) -> str:
    if reach is None or last is None:
        return "all of the input"
    least = "" if last.exact else "at least "
    if reach == last:
        return f"{least}{by(reach.field)}"
    return f"{least}{by(reach.field)}, in the last repetition {by(last.field)}"


def draw_layer(screen: Console, found: LayerCost, chatty: bool) -> None:
    """One layer: what it is, and a row an algorithm."""
    s, layer = found.shape, found.layer
    extras = [
        f"{word} {by(value)}"
        for word, value, usual in (("stride", s.stride, 1), ("padding", s.pad, 0), ("dilation", s.dilation, 1))
        if value and any(n != usual for n in value)
    ]
    extras += [f"{s.groups} groups"] * (s.groups > 1) + ["transposed"] * s.transposed
    binds = "products bind" if found.intensity > found.balance else "bytes bind"
    rows = [
        ("layer", layer.name + (f", {layer.count} times" if layer.count > 1 else "")),
        ("input", f"{s.c:,} channels of {by(s.size)}"),
        ("kernel", ", ".join((by(s.kernel), *extras)) + f"; {s.weights:,} weights"),
        ("output", f"{s.k:,} channels of {by(s.out)}"),
        ("receptive field", f"{_field(layer.reach, layer.last)} elements of the network's input"),
        ("work", f"{units.show_flops(found.flops)} a pass of {found.batch} images"),
        ("moved", f"{units.show_bytes(found.bytes)}: input, kernels and output once, {found.element:g} bytes each"),
        ("intensity", f"{found.intensity:,.1f} FLOP/B; {found.device} balances at {found.balance:,.0f}: {binds}"),
    ]
    screen.print(facts(rows))
    screen.print()
    columns = (Column(head="algorithm", right=False), *(Column(head=words) for words in _PASSES.values()))
    lines = []
    for name, row in found.seconds.items():
        if any(value is not None for value in row.values()):
            lines.append([name, *(_took(row[which], found.winner[which] == name) for which in _PASSES)])
    lines.append(["libraries take", *(units.show_seconds(found.library[which]) for which in _PASSES)])
    screen.print(table(screen, columns, lines, title=f"predicted on {found.device} in {found.precision}; * soonest"))
    if chatty:
        screen.print()
        reasons: dict[str, list[str]] = {}
        for name, why in found.why_not.items():
            reasons.setdefault(why, []).append(name)
        for why, names in reasons.items():
            screen.print(f"not {', '.join(names)}: {why}", markup=False)
        screen.print(f"80 % interval: {_interval(found)}; {found.basis}")
        if not found.basis.startswith("closed forms"):
            screen.print(_LAW)


def _interval(found: LayerCost, *passes: str) -> str:
    told = (
        f"{_PASSES[which]} / {found.factors[which]:.2f} to x {found.factors[which]:.2f}" for which in passes or _PASSES
    )
    return ", ".join(told)


def _took(seconds: float | None, best: bool) -> str:
    return "" if seconds is None else units.show_seconds(seconds) + ("*" if best else " ")


def draw_layers(screen: Console, model: str, found: Sequence[LayerCost], chatty: bool) -> None:
    """All layers of a network, a row each."""
    columns = (
        Column(head="#", drop=3),
        Column(head="layer", right=False),
        Column(head="input", right=False, drop=2),
        Column(head="kernel", right=False),
        Column(head="output", right=False),
        Column(head="receptive field", right=False, drop=1),
        Column(head="FLOP", drop=4),
        Column(head="FLOP/B", drop=5),
        Column(head="soonest", right=False),
        Column(head="forward"),
    )
    rows = []
    for place, each in enumerate(found, 1):
        s, last = each.shape, each.layer.last
        strided = f" /{max(s.stride)}" if max(s.stride) > 1 else ""
        name = each.winner["forward"]
        rows.append(
            [
                str(place),
                each.layer.name + (f" ({each.layer.count} times)" if each.layer.count > 1 else ""),
                f"{s.c} x {by(s.size)}",
                by(s.kernel) + strided + (f", {s.groups} groups" if s.groups > 1 else ""),
                f"{s.k} x {by(s.out)}",
                "all" if last is None else ("" if last.exact else ">= ") + by(last.field),
                units.show_flops(each.flops),
                f"{each.intensity:,.0f}",
                name,
                units.show_seconds(each.seconds[name]["forward"] or 0.0),
            ]
        )
    first = found[0]
    title = f"{model}: {len(found)} convolutions on {first.device} in {first.precision}, batch {first.batch}"
    screen.print(table(screen, columns, rows, title=title))
    if chatty:
        screen.print()
        screen.print("receptive field: of the last repetition, in elements of the network's input")
        screen.print(f"80 % interval: {_interval(first, 'forward')}. {_LAW}")


def draw_map(screen: Console, found: WinMap, chatty: bool) -> None:
    """The map of winners: kernels down, images across."""
    columns = (Column(head="kernel \\ image"), *(Column(head=str(n)) for n in found.sizes))
    rows = []
    for i, r in enumerate(found.kernels):
        cells = [
            found.winner(i, j) + (f" {found.over(i, j):.2g}" if found.winner(i, j) != "implicit" else "")
            for j in range(len(found.sizes))
        ]
        rows.append([f"{r} x {r}", *cells])
    c, k = found.channels
    groups = f", {found.groups} groups" if found.groups > 1 else ""
    title = f"the soonest on {found.device} in {found.precision}, {c} to {k} channels{groups}, batch {found.batch}"
    screen.print(table(screen, columns, rows, title=f"{title}, {_PASSES[found.which]}", gap=1))
    if chatty:
        screen.print()
        screen.print("the number: how many times as long the implicit matrix product takes")
        screen.print(f"80 % interval of a time: / {found.factor:.2f} to x {found.factor:.2f}. {_LAW}")


def draw_features(screen: Console, found: Features) -> None:
    """A row a kernel."""
    photo = found.photo
    screen.print(
        f"{photo.name}: {photo.size[1]} x {photo.size[0]} pixels, mean {found.mean:.1f}; {found.kind}, "
        f"{found.border} border",
        markup=False,
    )
    columns = (
        Column(head="kernel", right=False),
        Column(head="size"),
        Column(head="sum"),
        Column(head="rank", drop=3),
        Column(head="map", right=False, drop=2),
        Column(head="least"),
        Column(head="greatest"),
        Column(head="mean"),
        Column(head="does", right=False, drop=4),
    )
    rows = [
        [
            each.kernel.name,
            by(each.kernel.size[::-1]),
            f"{each.kernel.total:.3g}" if not each.kernel.signed else "0",
            str(each.kernel.rank),
            by(each.planes.shape),
            f"{each.range[0]:,.1f}",
            f"{each.range[1]:,.1f}",
            f"{round(each.mean, 1) + 0.0:,.1f}",
            each.kernel.says,
        ]
        for each in found.maps
    ]
    screen.print(table(screen, columns, rows))


def draw_spectrum(screen: Console, found: Passed, name: str) -> None:
    """What the disc keeps."""
    from rigwise.report.conv_board import share

    height, width = found.mask.shape
    rows = [
        ("image", f"{name}, {width} x {height} pixels"),
        ("disc", f"radius {found.radius:g} cycles an image, along the shorter side"),
        ("frequencies kept", f"{found.bins:,} of {found.mask.size:,}, {share(found.share_of_bins)}"),
        ("energy kept", f"{share(found.energy)} by the low pass, {share(1 - found.energy)} by the high pass"),
        ("without the mean", f"{share(found.energy_of_change)} by the low pass"),
    ]
    screen.print(facts(rows))


def draw_domains(screen: Console, found: Domains) -> None:
    """Both ways and their difference."""
    rows = [
        ("image", f"{found.photo.name}, {by(found.photo.size[::-1])} pixels"),
        ("kernel", f"{found.kernel.name}, {by(found.kernel.size[::-1])}"),
        ("space", f"{by(found.space.shape[::-1])} sums of products, {units.show_flops(found.flops_space)}"),
        ("frequency", f"padded to {by(found.padded[::-1])}, {units.show_flops(found.flops_frequency)}"),
        ("largest difference", f"{found.difference:.1e} grey levels, {found.relative:.1e} of the largest value"),
    ]
    screen.print(facts(rows))


def draw_diffusion(screen: Console, found: Diffusion, chatty: bool) -> None:
    """Mass and variance."""
    from rigwise.report.conv_board import share

    how = "softmax made it a density" if found.softmaxed else "a density"
    each = sum(found.kernel.variance)
    rows = [
        ("kernel", f"{found.kernel.name}, {by(found.kernel.size[::-1])}; {how}"),
        ("steps", f"{found.steps:,}, {found.border} border"),
        ("mass", f"{found.mass[-1]:,.6g} of {found.mass[0]:,.6g}; largest change {found.lost:.1e} of it"),
        ("contrast", f"{share(float(found.contrast[-1]))} of the standard deviation of the cells is left"),
        ("variance", f"{found.variance[0]:,.2f} px² before, {found.variance[-1]:,.2f} px² after, around the middle"),
        ("a step adds", f"{each:.4g} px² far from the border: D = {each / 4:.4g} px² a step"),
    ]
    if found.start == "point":
        rows.append(("from a bell", f"{share(found.from_bell)} of its top, at the largest"))
        rows.append(("border", f"may be reached at step {found.reached:,}"))
    screen.print(facts(rows))
    if chatty and found.softmaxed:
        screen.print("a propagator is a probability density: nothing negative, a sum of 1", markup=False)


def draw_find(screen: Console, found: Search, name: str) -> None:
    """The places, best first."""
    height, width = found.template.shape
    screen.print(f"a template of {width} x {height} pixels in {name}", markup=False)
    columns = (Column(head="place"), Column(head="x"), Column(head="y"), Column(head="likeness"))
    rows = [[str(place), str(p.x), str(p.y), f"{p.score:.4f}"] for place, p in enumerate(found.peaks, 1)]
    screen.print(table(screen, columns, rows))
    y, x = found.brightest
    screen.print(f"likeness: normalised cross-correlation, 1 at most; the plain one is brightest at x={x}, y={y}")


def draw_series(screen: Console, found: Smoothed) -> None:
    """Both kernels."""
    from rigwise.report.conv_board import share

    at = found.series.at
    weights = ", ".join(f"{weight:.4f}" for weight in found.weights)
    rows = [
        ("series", f"{found.series.name}, {len(at):,} values from {at[0]:g} to {at[-1]:g}, mean {found.mean:.4g}"),
        ("moving average", f"{found.window} weights of {1 / found.window:.4g}"),
        ("autoregression", f"weights {weights}, the nearest value's first"),
        ("left", f"{share(found.left)} of the variance"),
        ("period", f"{found.period:.2f} steps of time" if found.period else "it does not swing"),
        ("forecast", ", ".join(f"{value:.4g}" for value in found.forecast[:5]) + ", ..."),
    ]
    screen.print(facts(rows))


def draw_learned(screen: Console, found: Learned) -> None:
    """What the first layer became."""
    from rigwise.report.conv_board import share

    best = found.edge
    name, cosine = found.nearest[best]
    before, after = float(found.edge_before[best]), float(found.edge_after[best])
    rows = [
        ("task", f"{found.task}, {found.steps:,} steps; loss {found.losses[0]:.3f}, then {found.losses[1]:.3f}"),
        ("kernels", f"{len(found.after)}, each went {share(float(found.moved.mean()))} of its length on average"),
        (
            "first derivatives",
            f"{share(float(found.edge_before.mean()))} of their energy before, "
            f"{share(float(found.edge_after.mean()))} after; by chance {share(found.chance)}",
        ),
        ("edge detector", f"kernel {best + 1}: {share(before)} before, {share(after)} after"),
        ("it looks", f"at {found.angle:.0f} degrees (0 right, 90 down)"),
        ("nearest", f"{name}, cosine {cosine:.2f}"),
    ]
    screen.print(facts(rows))
    screen.print()
    for row in found.after[best]:
        screen.print("  ".join(f"{value:7.3f}" for value in row), markup=False)
