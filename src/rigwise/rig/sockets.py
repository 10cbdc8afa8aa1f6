"""Names of sockets as people write them."""

from __future__ import annotations

import re


def plain_socket(socket: str) -> str:
    """LGA1700 and LGA 1700 alike; LGA 2011-3 comes in a narrow form too.

    >>> plain_socket("LGA 1700") == plain_socket("LGA1700"), plain_socket("LGA 2011-3 Narrow")
    (True, 'lga20113')
    """
    return re.sub(r"[\s-]|narrow", "", socket.lower())
