"""The arithmetic of the articles on parallelism, as they do it, for one to follow with a pencil.

The laws that rigwise predicts with are in cost; these are the simpler ones that the articles teach by. Where an article
disagrees with its own arithmetic, the note says so and the arithmetic stands.

Sources: T. Dettmers, How To Parallelize Deep Learning on GPUs, part 1 Data Parallelism (2014, "article 5"); How To
Build and Use a Multi GPU System for Deep Learning (2014, "article 6"); 8-Bit Approximations for Parallelism in Deep
Learning (arXiv 1511.04561, "the 8-bit paper").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rigwise.units import BITS_PER_BYTE, GIBI, GIGA

LEAST_BATCH = 64
"""Samples a device below which matrix libraries waste it (article 5; the 8-bit paper sees trouble below 128)."""
BATCH_MULTIPLE = 32
"""Samples come in multiples of the threads of a warp (article 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTime:
    """Seconds of one message with the link's giga read as 10^9 (decimal) and as 2^30 (binary), as articles mix them."""

    decimal: float
    binary: float


def message_s(message: float, rate: float) -> MessageTime:
    """Seconds of `message` bytes over a link of `rate` bytes/s, bytes / rate, in both readings. Left out: latency.

    Article 5: the gradient of 1000 x 1000 weights in float32, 4,000,000 bytes, over 40 Gbit/s.

    >>> time = message_s(4e6, 40e9 / 8)
    >>> f"{time.decimal * 1e3:.3f} ms, {time.binary * 1e3:.3f} ms"
    '0.800 ms, 0.745 ms'
    """
    return MessageTime(decimal=message / rate, binary=message / (rate * GIBI / GIGA))


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCard:
    """Seconds until every device's gradient has reached every other node, each node having one network card.

    alone: one device's messages. shared: those of all devices of a node one after the other.
    """

    messages: int
    alone: float
    shared: float


def shared_card_s(nodes: int, devices: int, message: float) -> SharedCard:
    """Every device of `devices` a node sends its gradient, `message` seconds, to every device of the other nodes.

    (nodes - 1) devices messages each, times the devices that share the card. Left out: messages inside a node, which
    article 5 hides behind these. Note: the article is remembered to print 7.75 ms where this gives 6.75.

    >>> pair, four = shared_card_s(2, 3, 0.75e-3), shared_card_s(4, 3, 0.75e-3)
    >>> f"{pair.alone * 1e3:.2f} ms, {pair.shared * 1e3:.2f} ms, {four.shared * 1e3:.2f} ms"
    '2.25 ms, 6.75 ms, 20.25 ms'
    """
    messages = (nodes - 1) * devices
    return SharedCard(messages=messages, alone=messages * message, shared=messages * message * devices)


def speedups(times: Sequence[float]) -> tuple[float, ...]:
    """How much faster each run is than the first.

    Krizhevsky's hours on 1, 2, 4 and 8 GPUs (arXiv 1404.5997), as article 5 shows them:

    >>> [round(s, 2) for s in speedups([98.05, 50.24, 26.20, 15.68])]
    [1.0, 1.95, 3.74, 6.25]
    """
    return tuple(times[0] / time for time in times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naive:
    """Data parallelism that hides nothing. gradient: bytes. transfer, exchange: one transfer and all of them."""

    gradient: float
    transfer: MessageTime
    exchange: MessageTime
    slower: bool  # than one device, in the kinder of the two readings


def naive_data_parallel(parameters: float, element_bytes: float, devices: int, rate: float, step: float) -> Naive:
    """Whether exchanging gradients takes longer than a whole step on one device: `devices` transfers against `step` s.

    The 8-bit paper's AlexNet, 60 M parameters over 7 GB/s: 0.2235 GiB, and in binary units 31.9 and 127.7 ms, which is
    more than its step of 100 ms.

    >>> alexnet = naive_data_parallel(60e6, 4, devices=4, rate=7e9, step=0.1)
    >>> f"{alexnet.transfer.binary * 1e3:.1f} ms, {alexnet.exchange.binary * 1e3:.1f} ms", alexnet.slower
    ('31.9 ms, 127.7 ms', True)
    """
    gradient = parameters * element_bytes
    transfer = message_s(gradient, rate)
    exchange = MessageTime(decimal=transfer.decimal * devices, binary=transfer.binary * devices)
    return Naive(gradient=gradient, transfer=transfer, exchange=exchange, slower=exchange.binary > step)


def mixed_speedup(
    devices: int, step: float, dense: float, dense_parallel: float, conv_penalty: float, dense_penalty: float
) -> float:
    """Speed-up of data-parallel convolutions with model-parallel dense layers (the 8-bit paper).

    devices T / ((T - Tfc) + conv penalty + devices Tfc_parallel + fc penalty): every sub-batch passes the dense layers
    on its own. Note: the paper prints an fc penalty of 6.81 ms whose terms sum to 7.01; both round to 3.53.

    >>> [round(mixed_speedup(4, 104.1, 6.5, 3.34, 0.05, penalty), 2) for penalty in (6.81, 2.55)]
    [3.53, 3.67]
    """
    return devices * step / (step - dense + conv_penalty + devices * dense_parallel + dense_penalty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """A compressed gradient: bytes before and after, and the seconds that packing and unpacking cost."""

    plain: float
    packed: float
    pack: float
    unpack: float


def compressed(elements: float, bits: float, pack: float, unpack: float, plain_bits: float = 32.0) -> Compressed:
    """A gradient of `elements` numbers in `bits` each; pack, unpack: seconds a number. Left out: scales sent beside.

    The 8-bit paper's 1 and 0.5 ns a number:

    >>> compressed(1e6, 8, 1e-9, 0.5e-9)
    Compressed(plain=4000000.0, packed=1000000.0, pack=0.001, unpack=0.0005)
    """
    return Compressed(
        plain=elements * plain_bits / BITS_PER_BYTE,
        packed=elements * bits / BITS_PER_BYTE,
        pack=elements * pack,
        unpack=elements * unpack,
    )


def batch_warnings(batch: int, ranks: int) -> tuple[str, ...]:
    """What article 5 warns of when a batch is shared out over ranks; empty where all is well.

    >>> batch_warnings(128, 8)
    ('16 samples a device, under 64', '16 samples a device, no multiple of 32')
    >>> batch_warnings(8, 8)[0]
    '1 sample a device, under 64'
    """
    each = batch / ranks
    noun = "sample" if each == 1 else "samples"
    found = []
    if each < LEAST_BATCH:
        found.append(f"{each:g} {noun} a device, under {LEAST_BATCH}")
    if each % BATCH_MULTIPLE:
        found.append(f"{each:g} {noun} a device, no multiple of {BATCH_MULTIPLE}")
    return tuple(found)


def path_s(message: float, rates: Sequence[float], pipelined: bool = False) -> float:
    """Seconds of a message over several hops: their sum where each waits for the whole, else the slowest hop's.

    Article 6: without direct access of the network card to the GPU there are five hops, GPU, host memory, card, card,
    host memory, GPU; with it there are fewer.

    >>> [f"{path_s(4e6, [15.75e9, 4e9, 15.75e9], pipelined) * 1e3:.2f} ms" for pipelined in (False, True)]
    ['1.51 ms', '1.00 ms']
    """
    hops = [message / rate for rate in rates]
    return max(hops) if pipelined else sum(hops)


def loader_s(load: float, compute: float, batches: int, ahead: bool = True) -> float:
    """Seconds of `batches` batches that take `load` s to load and `compute` s to train on.

    ahead: the next batch loads while this one trains (article 6's double buffer): load + (n - 1) max(load, compute) +
    compute; else n (load + compute).

    >>> f"{loader_s(30e-3, 40e-3, 100):.2f} s, {loader_s(30e-3, 40e-3, 100, ahead=False):.2f} s"
    '4.03 s, 7.00 s'
    """
    if ahead:
        return load + (batches - 1) * max(load, compute) + compute
    return batches * (load + compute)
