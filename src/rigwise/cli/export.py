"""`rigwise export MODEL --to FRAMEWORK`: a layout in another framework's words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rigwise import api
from rigwise.cli.files import check_file, write_aside
from rigwise.cli.options import ClusterName, Look, ModelName, Training

if TYPE_CHECKING:
    from rigwise.export.subject import Exported


def export(
    model: ModelName,
    /,
    *,
    cluster: ClusterName,
    layout: Annotated[str, Parameter(name=("--layout", "-l"))],
    to: str,
    output: Path | None = None,
    training: Training = Training(),
    look: Look = Look(),
) -> None:
    """Write a layout in the words of a training framework.

    Parameters
    ----------
    layout
        dp=4,tp=2,pp=2,micro=1,recompute=selective,zero=1; what is not said is not split.
    to
        torchtitan, megatron, deepspeed or accelerate.
    output
        Write it to this file instead of printing it.
    """
    check_file(output)
    answer(look, api.export(model, cluster, layout, to=to, **training.said()), output)


def answer(look: Look, found: Exported, output: Path | None) -> None:
    """The text on stdout or in a file; what it leaves out on stderr, so that the text can be piped."""
    if output:
        write_aside(output, found.text)
    if look.json:
        look.answer(found.to_dict, lambda screen: None)
        return
    if output is None:
        print(found.text, end="")
    if look.chatty:
        for note in found.notes:
            look.progress.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
        if output:
            look.progress.print(f"written to {output}", markup=False, highlight=False, soft_wrap=True)
