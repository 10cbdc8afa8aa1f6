"""One helper of a server: reads questions on stdin, [verb, request as JSON, folder] a line, and writes answers.

    python -m rigwise.web.helper

An answer is a line of JSON behind a +, a problem one behind a -: [exit code, says, rule, nearest]. It ends with stdin.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from rigwise.errors import RigwiseError
from rigwise.web.helpers import ANSWER, PROBLEM
from rigwise.web.problems import known
from rigwise.web.verbs import FIRST, VERBS, dumped


def line(verb: str, request: str, folder: str) -> bytes:
    """What is written for a question."""
    kind = VERBS[verb]
    try:
        return ANSWER + dumped(kind, kind.request.model_validate_json(request), Path(folder) if folder else None)
    except RigwiseError as error:
        return PROBLEM + _told(error)
    except Exception as error:  # whatever happens is told as a problem
        return PROBLEM + _told(known(error))


def _told(error: RigwiseError) -> bytes:
    return json.dumps([error.exit_code, error.says, error.rule, error.nearest]).encode()


def main() -> None:
    """Answer until stdin ends. Catalogues are read before the first question, and are no work for the collector."""
    line("plan", json.dumps(FIRST), "")
    gc.freeze()
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    for said in sys.stdin.buffer:
        sys.stdout.buffer.write(line(*json.loads(said)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
