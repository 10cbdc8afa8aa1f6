"""Live prices by the hour, through gpuhunt (the extra [prices]), kept in a file of this machine.

Each source is asked by itself: one that fails is named, and the packaged prices of it stay.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from rigwise.advise.assumptions import assumed
from rigwise.advise.prices import Offer, read_offers
from rigwise.errors import LaunchError, NotFoundError, UsageError
from rigwise.files import replace_text
from rigwise.hardware.names import resolve_device

COLUMNS = ("provider", "instance", "device", "count", "most", "usd_per_hour", "spot", "region", "date", "source")


class Item(Protocol):
    """What gpuhunt says of an instance, as far as it is read here."""

    instance_name: str
    location: str
    price: float
    gpu_count: int
    gpu_name: str | None
    gpu_memory: float | None
    spot: bool


Ask = Callable[[str], Iterable[Item]]


def kept_prices() -> Path | None:
    """The file of the last refresh on this machine, None where there was none."""
    path = place()
    return path if path.is_file() else None


def place() -> Path:
    """Where refreshed prices are kept."""
    from platformdirs import user_data_path

    return user_data_path("rigwise") / "cloud_prices.csv"


def refresh(
    providers: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
    *,
    ask: Ask | None = None,
    path: Path | None = None,
    patience: float = 60.0,
) -> dict[str, Any]:
    """Ask every source, write what answered, and say what happened to each.

    ask: what is asked in place of gpuhunt. path: where to write. patience: seconds that a source has. Raises
    LaunchError where gpuhunt is not installed or no source answered, UsageError for an unknown source.
    """
    known = sources()
    unknown = [name for name in providers if name not in known]
    if unknown:
        raise UsageError(f"no source {', '.join(unknown)}", rule=f"sources are {', '.join(known)}")
    offers, failed, where = [], {}, path or place()
    for name in providers or known:
        try:
            found = offers_of(name, _within(ask or _gpuhunt, name, patience))
        except LaunchError:
            raise
        except Exception as error:  # whatever a source does, the others are asked
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
            found = []
        if found:
            offers += found
        else:
            failed.setdefault(name, "it listed no device that is known")
        if progress:
            progress(f"{name}: {failed.get(name) or f'{len(found)} prices'}")
    if not offers:
        raise LaunchError(
            f"no source answered: {_together(failed)}",
            rule="the prices that were there stay as they are",
            nearest="look at the network and ask again; GPUHUNT_CATALOG_DIR=FOLDER reads gpuhunt's catalogues as files",
        )
    answered = {offer.provider for offer in offers}
    before = read_offers(where) if where.is_file() else []
    text = to_csv([*offers, *(offer for offer in before if offer.provider not in answered)])
    where.parent.mkdir(parents=True, exist_ok=True)
    replace_text(where, text)
    return {"path": str(where), "prices": len(offers), "providers": sorted(answered), "failed": failed}


def _together(failed: Mapping[str, str]) -> str:
    """What kept sources from answering, each reason once with all that it kept.

    >>> _together({"aws": "no network", "gcp": "no network", "oci": "no answer within 60 s"})
    'aws, gcp: no network; oci: no answer within 60 s'
    """
    names: dict[str, list[str]] = {}
    for name, why in failed.items():
        names.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(kept)}: {why}" for why, kept in names.items())


def _within(ask: Ask, name: str, patience: float) -> list[Item]:
    """What a source says; TimeoutError where it takes longer, and its thread is left to itself."""
    said: queue.Queue[list[Item] | BaseException] = queue.Queue()

    def work() -> None:
        try:
            said.put(list(ask(name)))
        except BaseException as error:  # whatever it is, the asking thread hears of it
            said.put(error)

    threading.Thread(target=work, daemon=True, name=f"prices of {name}").start()
    try:
        found = said.get(timeout=patience)
    except queue.Empty:
        raise TimeoutError(f"no answer within {patience:g} s") from None
    if isinstance(found, SystemExit):
        raise RuntimeError(f"it ended with {found.code}")
    if isinstance(found, BaseException):
        raise found
    return found


def offers_of(provider: str, items: Iterable[Item]) -> list[Offer]:
    """The least price of each device, number, region-free, on demand and spot; devices that are not known fall away."""
    least: dict[tuple[str, int, bool], Offer] = {}
    for item in items:
        device = _device(item)
        if device is None or item.gpu_count < 1 or not item.price > 0:
            continue
        offer = Offer(
            provider=str(assumed("sources").get(provider, provider)),
            instance=item.instance_name or "-",
            device=device,
            count=item.gpu_count,
            most=item.gpu_count,
            usd_per_hour=float(item.price),
            spot=bool(item.spot),
            region=item.location or "",
            date=date.today().isoformat(),  # noqa: DTZ011  the day on which it was asked
            source="gpuhunt (MPL-2.0)",
        )
        key = device, item.gpu_count, bool(item.spot)
        if key not in least or offer.usd_per_hour < least[key].usd_per_hour:
            least[key] = offer
    return list(least.values())


def _device(item: Item) -> str | None:
    if not item.gpu_name:
        return None
    size = f" {item.gpu_memory:g}GB" if item.gpu_memory else ""
    for words in (f"{item.gpu_name}{size}", item.gpu_name):
        try:
            return resolve_device(words)[0]
        except NotFoundError:
            continue
    return None


def to_csv(offers: Iterable[Offer]) -> str:
    """The offers in the columns of data/cloud_prices.csv."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for o in offers:
        writer.writerow([getattr(o, key) if key != "spot" else ("yes" if o.spot else "no") for key in COLUMNS])
    return out.getvalue()


def sources() -> list[str]:
    """The sources that are asked, by gpuhunt's names."""
    return [name for name in assumed("sources") if name != "source"]


def _gpuhunt(provider: str) -> Iterable[Item]:
    try:
        import gpuhunt
    except ImportError:
        raise LaunchError(
            "gpuhunt is not installed", rule="live prices are an extra", nearest="pip install 'rigwise[prices]'"
        ) from None
    logging.getLogger("gpuhunt").setLevel(logging.CRITICAL)  # what fails is told in one line by whoever asks
    local = "GPUHUNT_CATALOG_DIR" in os.environ  # its catalogues as files, which need no network
    catalog = gpuhunt.Catalog(auto_reload=False) if local else gpuhunt.default_catalog()
    found: Iterable[Item] = catalog.query(provider=provider)
    return found
