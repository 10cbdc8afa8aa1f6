"""Checks of what a builder is given: a builder is called with what stands in a file."""

from __future__ import annotations

from rigwise.errors import UsageError

MOST_LAYERS = 100_000  # a stack is laid out layer by layer where stages are cut


def check_sizes(*, least: int = 1, **sizes: object) -> None:
    """Each size is a whole number of at least `least`, or a list of such, or a list of lists; None is left alone.

    >>> check_sizes(layers=12, image=[3, 224, 224])
    >>> check_sizes(layers=0)
    Traceback (most recent call last):
    rigwise.errors.UsageError: layers=0; rule: whole numbers of at least 1
    """
    for key, value in sizes.items():
        if value is not None and not _fits(value, least):
            raise UsageError(f"{key}={value!r}", rule=f"whole numbers of at least {least}")


def check_shape(*, like: str, length: int, **lists: object) -> None:
    """Each value is a list of `length` items; like says what of."""
    for key, value in lists.items():
        if not isinstance(value, (list, tuple)) or len(value) != length:
            raise UsageError(f"{key}={value!r}", rule=f"{length} items: {like}")


def _fits(value: object, least: int) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(_fits(item, least) for item in value)
    return type(value) is int and value >= least
