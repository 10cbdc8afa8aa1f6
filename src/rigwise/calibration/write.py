"""Writing fitted constants into the text of efficiencies.toml: values change, comments and order stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import floor, log10

Path = tuple[str, str, str]


Written = float | Sequence[str]


def written(text: str, values: Iterable[tuple[Path, Written]]) -> str:
    """The text with each value set in its table; a key that the table did not give is added at its end.

    >>> print(written("[link.rdma]\\nshare = 0.8  # of the rate\\n", [(("link", "rdma", "share"), 0.71234)]), end="")
    [link.rdma]
    share = 0.712  # of the rate
    """
    lines = text.splitlines()
    for (layer, name, key), value in values:
        head = f"[{layer}.{name}]" if name else f"[{layer}]"
        if not any(line.startswith(head) for line in lines):
            lines += [head]
        start = next(i for i, line in enumerate(lines) if line.startswith(head))
        end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("[")), len(lines))
        at = next((i for i in range(start + 1, end) if re.match(rf"{key}\s*=", lines[i])), None)
        if at is not None:
            lines[at] = re.sub(r"=\s*(\[[^\]]*\]|[^\s#]+)", f"= {_shown(value)}", lines[at], count=1)
        else:
            last = max((i for i in range(start, end) if lines[i].strip() and lines[i][0] != "#"), default=start)
            lines.insert(last + 1, f"{key} = {_shown(value)}")
    return "\n".join(lines) + "\n"


def _shown(value: Written) -> str:
    """Three significant digits, as a TOML float; words as an array."""
    if not isinstance(value, float | int):
        return "[" + ", ".join(f'"{word}"' for word in value) + "]"
    rounded = round(value, 2 - floor(log10(abs(value)))) if value else 0.0
    return repr(float(rounded))
