"""Rules of what fits the case, and coolers. Each function is a row of data/rules.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rigwise.rig.build import Build, Use
from rigwise.rig.constants import cooling
from rigwise.rig.findings import Found, looks_after
from rigwise.rig.parts import Cooler, Supply
from rigwise.rig.sockets import plain_socket
from rigwise.rig.words import plural


@looks_after("card-length")
def _card_length(build: Build, use: Use) -> Iterator[Found]:
    case = build.case
    assert case
    lengths = [(card.length, card.name) for card in build.gpus if card.length]
    if case.gpu_length is None or not lengths:
        if case.style != "server" and any(c.cooling != "sxm" for c in build.gpus):
            yield Found(says="the length of the cards or of the case is not known", fix="measure both", unknown=True)
        return
    length, name = max(lengths)
    if length > case.gpu_length:
        yield Found(
            says=f"{name} is {length:.0f} mm long, {case.name} takes {case.gpu_length:.0f} mm",
            fix=f"a card of at most {case.gpu_length:.0f} mm, or a case for {length:.0f} mm",
        )


@looks_after("board-form")
def _board_form(build: Build, use: Use) -> Iterator[Found]:
    board, case = build.housed
    if board.set or case.set:
        return
    forms = {_form(form) for form in case.boards}
    forms |= {"ssiceb"} if forms & {"eatx", "ssieeb"} else set()  # CEB is 267 mm deep, E-ATX and EEB 330 mm
    if not board.form or not case.boards:
        yield Found(says="the standard of the board or of the case is not known", fix="look it up", unknown=True)
    elif _form(board.form) not in forms and case.style != "frame":
        yield Found(
            says=f"{board.name} is {board.form}, {case.name} takes {', '.join(case.boards)}",
            fix=f"a case for {board.form}, or a board of {case.boards[0]}",
        )


def _form(text: str) -> str:
    """E-ATX and EATX, Mini-ITX and ITX, Micro ATX and mATX alike."""
    plain = re.sub(r"[\s-]", "", text.lower())
    return {"miniitx": "itx", "microatx": "matx", "eeb": "ssieeb", "ceb": "ssiceb", "extendedatx": "eatx"}.get(
        plain, plain
    )


@looks_after("cooler-fit")
def _cooler_fit(build: Build, use: Use) -> Iterator[Found]:
    cpu = build.cpu
    assert cpu
    for cooler, _ in build.all(Cooler):
        fits = {plain_socket(socket) for socket in cooler.sockets}
        if cooler.sockets and plain_socket(cpu.socket) not in fits:
            yield Found(
                says=f"{cooler.name} is made for {', '.join(cooler.sockets)}, {cpu.name} sits in {cpu.socket}",
                fix=f"a cooler for {cpu.socket}",
            )


@looks_after("cooler-power")
def _cooler_power(build: Build, use: Use) -> Iterator[Found]:
    cpu, cooler = build.cpu, build.cooler
    assert cpu
    assert cooler
    if cooler.takes is None:
        yield Found(
            says=f"what {cooler.name} carries away is not known", fix=f"{cpu.watts:.0f} W are wanted", unknown=True
        )
    elif cooler.takes * float(cooling()["rules"]["rating"]) < cpu.watts:
        yield Found(
            says=f"{cpu.name} turns {cpu.watts:.0f} W into heat, {cooler.name} carries {cooler.takes:.0f} W away",
            fix=f"a cooler for {cpu.watts:.0f} W, or a lower power limit of the processor",
        )


@looks_after("cooler-room")
def _cooler_room(build: Build, use: Use) -> Iterator[Found]:
    case = build.case
    assert case
    for cooler, _ in build.all(Cooler):
        if case.set and cooler.set:
            continue
        if cooler.type == "air" and cooler.height and case.cooler_height and cooler.height > case.cooler_height:
            yield Found(
                says=f"{cooler.name} is {cooler.height:.0f} mm high, {case.name} takes {case.cooler_height:.0f} mm",
                fix="a lower cooler or a wider case",
            )
        elif cooler.radiator and case.radiator is not None and cooler.radiator > case.radiator:
            yield Found(
                says=f"the radiator of {cooler.name} is {cooler.radiator:.0f} mm, {case.name} takes "
                f"{case.radiator:.0f} mm",
                fix="a shorter radiator, air, or another case",
            )
        elif (case.cooler_height if cooler.type == "air" else case.radiator) is None and case.style == "desktop":
            yield Found(
                says=f"whether {cooler.name} fits into {case.name} is not known", fix="look it up", unknown=True
            )


@looks_after("supply-fit")
def _supply_fit(build: Build, use: Use) -> Iterator[Found]:
    case = build.case
    assert case
    if case.set:
        return
    for supply, _ in build.all(Supply):
        if supply.form and case.supply_forms and not _same_frame(supply.form, case.supply_forms):
            yield Found(
                says=f"{supply.name} is {supply.form}, {case.name} takes {', '.join(case.supply_forms)}",
                fix=f"a supply of {case.supply_forms[0]}",
            )
        elif supply.length and case.supply_length and supply.length > case.supply_length:
            yield Found(
                says=f"{supply.name} is {supply.length:.0f} mm long, {case.name} takes {case.supply_length:.0f} mm",
                fix="a shorter supply or another case",
            )
    count = build.count(Supply)
    if count > case.supplies:
        yield Found(
            says=f"{plural(count, 'supply', 'supplies')}, {case.name} holds {case.supplies}",
            fix="one stronger supply, or a case or frame for several",
            severity="warning",
        )


def _same_frame(form: str, allowed: tuple[str, ...]) -> bool:
    """An SFX supply goes into an ATX frame with a bracket, not the other way round."""
    forms = {_form(word) for word in allowed}
    mine = _form(form)
    return (
        mine in forms or ("atx" in forms and mine in ("sfx", "sfxl", "atx/eps")) or ("sfxl" in forms and mine == "sfx")
    )
