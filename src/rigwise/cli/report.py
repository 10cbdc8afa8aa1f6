"""`rigwise report MODEL`: a plan and the other rooms of the page as one HTML file that opens with no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigwise.cli.files import write_aside
from rigwise.cli.options import ClusterName, Look, ModelName, Training
from rigwise.errors import UsageError


def report(
    model: ModelName,
    /,
    *,
    cluster: ClusterName,
    output: Annotated[Path, Parameter(name=("--output", "-o"))] = Path("rigwise-report.html"),
    objective: Literal["time", "cost", "energy", "memory"] = "time",
    fix: Annotated[list[str] | None, Parameter(negative="")] = None,
    validation: Annotated[bool, Parameter(negative="")] = False,
    training: Training = Training(),
    look: Look = Look(),
) -> None:
    """Write a plan and the page's other rooms as one HTML file, below 1 MB, that opens with no server.

    Parameters
    ----------
    output
        Where to write it.
    objective
        What the best layout has least of.
    fix
        Keep an axis as said, tp=8; may be given several times.
    validation
        With the room of validation, whose rows take a minute or two to predict.
    """
    from pydantic import ValidationError

    from rigwise.web.onefile import report as one_file
    from rigwise.web.problems import unread

    if output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"output {str(output)!r}", rule="a report is an .html", nearest=str(output.with_suffix(".html"))
        )
    said = {key: value for key, value in training.said().items() if value is not None}
    said |= {"model": model, "cluster": cluster} | ({"fix": fix} if fix else {})
    said |= {} if objective == "time" else {"objective": objective}
    try:
        text = one_file(said, also=("validation",) if validation else ())
    except ValidationError as error:
        raise unread(list(error.errors())) from None
    write_aside(output, text)
    told = {"report": str(output), "bytes": len(text.encode())}
    look.answer(lambda: told, lambda screen: screen.print(f"{output}: {told['bytes']:,} bytes", markup=False))
