"""Words that several rules share."""

from __future__ import annotations


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> plural(1, "slot"), plural(3, "slot"), plural(2, "supply", "supplies")
    ('1 slot', '3 slots', '2 supplies')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.0321), percent(0.00004)
    ('3.2 %', 'less than 0.1 %')
    """
    return "less than 0.1 %" if 0 < share < 0.001 else f"{share * 100:.1f} %"
