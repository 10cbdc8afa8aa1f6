"""Answers that were given already, as bytes: a slider goes back and forth, and many people ask the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from rigwise.errors import InfeasibleError

_MOST_BYTES = 32 * 2**20


class Memo:
    """The last answers, by key. Who asks what is being answered already waits for that answer.

    That something cannot be done is an answer too: to find it out takes longer than to find what can.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._kept: OrderedDict[Hashable, bytes | InfeasibleError] = OrderedDict()
        self._busy: dict[Hashable, Lock] = {}
        self._lock = Lock()
        self._most, self._held = most_bytes, 0

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The answer for a key, made where it is not there. What `make` raises is raised; InfeasibleError is kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return _said(self._kept[key])
            turn = self._busy.setdefault(key, Lock())
        with turn:
            with self._lock:
                if key in self._kept:
                    return _said(self._kept[key])
            found: bytes | InfeasibleError
            try:
                found = make()
            except InfeasibleError as error:
                found = error
            finally:
                with self._lock:
                    self._busy.pop(key, None)
            self._keep(key, found)
        return _said(found)

    def _keep(self, key: Hashable, found: bytes | InfeasibleError) -> None:
        with self._lock:
            self._held += _size(found) - _size(self._kept.get(key, b""))
            self._kept[key] = found
            while self._held > self._most:
                _, dropped = self._kept.popitem(last=False)
                self._held -= _size(dropped)


def _size(found: bytes | InfeasibleError) -> int:
    return len(found) if isinstance(found, bytes) else 1024


def _said(found: bytes | InfeasibleError) -> bytes:
    if isinstance(found, InfeasibleError):
        raise found.with_traceback(None)
    return found
