"""Which numbers of a bucket go where: a shard a rank, and a shard in pieces; read by who sends and by who counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rigwise.run.compress.reference import BLOCK

# Bytes of a message to one rank. gloo's exchanges of big messages fill half a link, as sending and receiving take
# turns; several small ones in flight fill it (measured: 1 MiB 49, 64 KiB 79, 32 KiB 85 of 100 Mbit/s; at 1 Gbit/s
# 128 KiB 0.93, 64 KiB 0.80, 32 KiB 0.60).
PIECE_BYTES = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A bucket of `count` numbers among `world` ranks. Shards are equal but for the last ones, which may be short or
    empty; a piece is a range of every shard.
    """

    count: int
    world: int
    piece: int

    @property
    def shard(self) -> int:
        """Numbers of a full shard: whole blocks.

        >>> Cut(count=10_000, world=2, piece=4096).shard
        8192
        """
        return -(-self.count // (self.world * BLOCK)) * BLOCK

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Begin and end of every piece inside a shard.

        >>> Cut(count=20_000, world=2, piece=8192).pieces
        [(0, 8192), (8192, 12288)]
        """
        return [(begin, min(begin + self.piece, self.shard)) for begin in range(0, self.shard, self.piece)]

    def span(self, rank: int, piece: tuple[int, int]) -> slice:
        """Where a piece of a rank's shard lies in the bucket; empty beyond the end.

        >>> Cut(count=10_000, world=2, piece=8192).span(1, (0, 8192))
        slice(8192, 10000, None)
        """
        begin, end = (min(rank * self.shard + border, self.count) for border in piece)
        return slice(begin, end)

    def sent(self, size: Callable[[int], int]) -> int:
        """Bytes that a rank sends for the bucket, with messages of size(numbers) bytes: codes of every other rank's
        shard, then its own shard's sum to every other.

        >>> Cut(count=8192, world=2, piece=4096).sent(lambda count: count)
        8192
        """
        return sum(2 * (self.world - 1) * size(end - begin) for begin, end in self.pieces)


def piece_of(size: Callable[[int], int]) -> int:
    """Numbers of a piece whose message is about PIECE_BYTES: whole blocks.

    >>> piece_of(lambda count: count), piece_of(lambda count: count // 8)
    (131072, 1048576)
    """
    return max(1, round(PIECE_BYTES / size(BLOCK))) * BLOCK
