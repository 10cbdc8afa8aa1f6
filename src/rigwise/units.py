"""Bytes, FLOP, seconds, watts and money: parsed and printed here and nowhere else.

Inside rigwise every amount is a plain float in one unit: byte, FLOP, second, watt, joule, US dollar. This is the only
file that knows a decimal or a binary prefix. GB (10^9) and GiB (2^30) are told apart everywhere.
"""

from __future__ import annotations

import math
import re

from rigwise.errors import UsageError

KILO, MEGA, GIGA, TERA, PETA, EXA = 1e3, 1e6, 1e9, 1e12, 1e15, 1e18
KIBI, MEBI, GIBI, TEBI, PEBI = 2.0**10, 2.0**20, 2.0**30, 2.0**40, 2.0**50
MILLI, MICRO, NANO = 1e-3, 1e-6, 1e-9
MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86400.0, 365 * 86400.0
BITS_PER_BYTE = 8.0

_DECIMAL = {"": 1.0, "k": KILO, "K": KILO, "M": MEGA, "G": GIGA, "T": TERA, "P": PETA, "E": EXA}
_BINARY = {"Ki": KIBI, "Mi": MEBI, "Gi": GIBI, "Ti": TEBI, "Pi": PEBI}
_PREFIX = _DECIMAL | _BINARY
_TIME = {
    "ns": NANO,
    "us": MICRO,
    "µs": MICRO,
    "ms": MILLI,
    "s": 1.0,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
}
_AMOUNT = re.compile(r"\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*([^\d\s].*)?\s*$")


def parse(text: str, unit: str) -> float:
    """An amount in its base unit.

    unit is what is expected: "B", "B/s", "bit/s", "FLOP", "FLOP/s", "s", "W", "Hz" or "" for a plain number. An amount
    without a unit is taken in the base unit. "bit/s" is also accepted where "B/s" is expected.

    >>> parse("80 GiB", "B"), parse("80 GB", "B")
    (85899345920.0, 80000000000.0)
    >>> parse("400 Gbit/s", "B/s"), parse("2 us", "s"), parse("312 TFLOP/s", "FLOP/s")
    (50000000000.0, 2e-06, 312000000000000.0)
    """
    match = _AMOUNT.match(text)
    if not match:
        raise UsageError(f"cannot read {text!r} as an amount", rule=f"a number, then a unit of {unit or 'none'}")
    value, suffix = float(match[1]), (match[2] or "").strip()
    if not math.isfinite(value):
        raise UsageError(f"{text!r} is not a finite amount")
    if not suffix:
        return value
    scale = _TIME.get(suffix) if unit == "s" else _scale(suffix, unit)
    if scale is None:
        raise UsageError(f"unknown unit {suffix!r} in {text!r}", rule=f"expected a unit of {unit or 'none'}")
    return value * scale


def _scale(suffix: str, unit: str) -> float | None:
    spellings = {unit: 1.0, **({"bit/s": 1 / BITS_PER_BYTE, "bps": 1 / BITS_PER_BYTE} if unit == "B/s" else {})}
    for spelling, scale in spellings.items():
        if suffix.endswith(spelling) and suffix[: len(suffix) - len(spelling)] in _PREFIX:
            return _PREFIX[suffix[: len(suffix) - len(spelling)]] * scale
    return None


_ROUNDS_UP = 0.9995  # of a unit: from here on three digits show a whole one


def _scaled(value: float, unit: str, steps: list[tuple[str, float]]) -> str:
    for prefix, scale in steps:
        if abs(value) >= scale * _ROUNDS_UP or scale == steps[-1][1]:
            return f"{_digits(value / scale)} {prefix}{unit}"
    raise AssertionError("the last step takes everything")


def _digits(value: float) -> str:
    """Three significant digits, thousands unrounded: 0.00123, 1.23, 12.3, 123, 1,234."""
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(float(f"{value:.3g}"))))
    return f"{value:,.{max(0, 2 - magnitude)}f}"


_DOWN = [("E", EXA), ("P", PETA), ("T", TERA), ("G", GIGA), ("M", MEGA), ("k", KILO), ("", 1.0)]
_DOWN_BINARY = [("Pi", PEBI), ("Ti", TEBI), ("Gi", GIBI), ("Mi", MEBI), ("Ki", KIBI), ("", 1.0)]


def show_bytes(value: float) -> str:
    """Bytes with a binary prefix, as memory is counted.

    >>> show_bytes(19_440_000), show_bytes(80 * 2**30)
    ('18.5 MiB', '80.0 GiB')
    """
    return _scaled(value, "B", _DOWN_BINARY)


def show_rate(value: float) -> str:
    """Bytes a second with a decimal prefix, as links are counted.

    >>> show_rate(15.75e9)
    '15.8 GB/s'
    """
    return _scaled(value, "B/s", _DOWN)


def show_flops(value: float, per_second: bool = False) -> str:
    """FLOP, or FLOP/s.

    >>> show_flops(312e12, per_second=True)
    '312 TFLOP/s'
    """
    return _scaled(value, "FLOP/s" if per_second else "FLOP", _DOWN)


def show_count(value: float) -> str:
    """A plain amount: parameters, tokens, elements.

    >>> show_count(174.6e9), show_count(61_100_840)
    ('175 G', '61.1 M')
    """
    return _scaled(value, "", _DOWN).rstrip()


def show_number(value: float) -> str:
    """A plain number as people write it, never with an exponent.

    >>> show_number(16_640.4), show_number(858.72), show_number(64), show_number(0.10142)
    ('16,640', '859', '64', '0.101')
    """
    return f"{value:,.0f}" if value == round(value) else _digits(value)


def show_power_of_ten(value: float, digits: int = 3) -> str:
    """An amount too large or too small for a prefix, as a program reads it.

    >>> show_power_of_ten(1.0752e21), show_power_of_ten(1e15), show_power_of_ten(5.8e14, 2)
    ('1.08e21', '1e15', '5.8e14')
    """
    if value == 0:
        return "0"
    number, _, power = f"{value:.{digits - 1}e}".partition("e")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}e{int(power)}"


def show_watts(value: float) -> str:
    """Watts.

    >>> show_watts(24e6), show_watts(0.75e9)
    ('24.0 MW', '750 MW')
    """
    return _scaled(value, "W", _DOWN)


def show_seconds(value: float) -> str:
    """A duration in the unit a person would take.

    >>> show_seconds(0.00075), show_seconds(28.15), show_seconds(7200.0), show_seconds(1e6)
    ('750 us', '28.1 s', '2.00 h', '11.6 d')
    """
    steps = [("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1.0), ("ms", MILLI), ("us", MICRO), ("ns", NANO)]
    for unit, scale in steps:
        if abs(value) >= scale * _ROUNDS_UP or unit == "ns":
            return f"{_digits(value / scale)} {unit}"
    raise AssertionError("nanoseconds take everything")


def time_unit(value: float) -> tuple[str, float]:
    """The unit in which a duration reads well, and its seconds: for an axis or a column that must share one.

    >>> time_unit(28.15), time_unit(0.004)
    (('s', 1.0), ('ms', 0.001))
    """
    steps = [("d", DAY), ("h", HOUR), ("min", 3 * MINUTE), ("s", 1.0), ("ms", MILLI), ("us", MICRO)]
    name = next((name for name, least in steps if abs(value) >= least), "ns")
    return name, _TIME[name]


def show_joules(value: float) -> str:
    """An energy: joules below a tenth of a kilowatt-hour, kilowatt-hours above.

    >>> show_joules(1500.0), show_joules(3.6e6 * 12)
    ('1.50 kJ', '12.0 kWh')
    """
    kilowatt_hour = KILO * HOUR
    return f"{_digits(value / kilowatt_hour)} kWh" if abs(value) >= kilowatt_hour / 10 else _scaled(value, "J", _DOWN)


def show_usd(value: float) -> str:
    """US dollars.

    >>> show_usd(0.0123), show_usd(2311.2)
    ('$0.0123', '$2,311')
    """
    return f"${_digits(value)}"
