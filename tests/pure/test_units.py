"""Amounts: what is read is in the base unit, what is printed reads back to the same, and no prefix is a decade off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise import units
from rigwise.errors import UsageError

DECIMAL = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize(("prefix", "power"), DECIMAL.items())
@pytest.mark.parametrize("unit", ["B", "B/s", "FLOP", "FLOP/s", "W", "Hz"])
def test_a_decimal_prefix_is_a_power_of_ten(prefix: str, power: int, unit: str) -> None:
    assert units.parse(f"2 {prefix}{unit}", unit) == 2 * 10.0**power


@pytest.mark.parametrize(("prefix", "power"), BINARY.items())
def test_a_binary_prefix_is_a_power_of_two(prefix: str, power: int) -> None:
    assert units.parse(f"1.5{prefix}B", "B") == 1.5 * 2.0**power


@given(st.floats(1e-3, 1e15))
def test_a_plain_number_has_three_digits_at_least_and_no_exponent(value: float) -> None:
    shown = units.show_number(value)
    assert "e" not in shown
    assert float(shown.replace(",", "")) == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize(("unit", "seconds"), SECONDS.items())
def test_times(unit: str, seconds: float) -> None:
    assert units.parse(f"3{unit}", "s") == pytest.approx(3 * seconds)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("7", "B", 7), (" 1e3 B ", "B", 1000), ("-2.5", "", -2.5), ("8 bit/s", "B/s", 1), ("100 Gbps", "B/s", 12.5e9)],
)
def test_other_spellings(text: str, unit: str, value: float) -> None:
    assert units.parse(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", "B"),
        ("much", "B"),
        ("1 2 B", "B"),
        ("80 GB/s", "B"),
        ("80 gb", "B"),
        ("1 QB", "B"),
        ("3 bit/s", "B"),
        ("1e999", ""),
    ],
)
def test_what_is_no_amount_is_named(text: str, unit: str) -> None:
    with pytest.raises(UsageError, match=text or "''"):
        units.parse(text, unit)


@pytest.mark.parametrize(
    ("show", "unit", "least"),
    [
        (units.show_bytes, "B", 1.0),
        (units.show_rate, "B/s", 1.0),
        (units.show_flops, "FLOP", 1.0),
        (units.show_seconds, "s", 1e-9),
    ],
)
def test_what_is_printed_reads_back(show: Callable[[float], str], unit: str, least: float) -> None:
    @given(st.floats(least, 1e17))
    def reads_back(value: float) -> None:
        said = show(value)
        assert units.parse(said.replace(",", ""), unit) == pytest.approx(value, rel=0.006)
        assert sum(c.isdigit() for c in said.split()[0]) == 3 or "," in said

    reads_back()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (units.show_bytes(2**30 - 1), "1.00 GiB"),
        (units.show_bytes(1010 * 2.0**20), "1,010 MiB"),
        (units.show_rate(999.6e6), "1.00 GB/s"),
        (units.show_seconds(0.9996), "1.00 s"),
        (units.show_seconds(59.99), "1.00 min"),
        (units.show_seconds(0.0), "0 ns"),
        (units.show_count(0), "0"),
        (units.show_joules(359_000.0), "359 kJ"),
        (units.show_joules(361_000.0), "0.100 kWh"),
        (units.show_usd(0.0), "$0"),
    ],
)
def test_what_a_person_reads(said: str, shown: str) -> None:
    assert said == shown
