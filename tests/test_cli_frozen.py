"""The command line's words are a frozen list: one that comes or goes changes tests/cli_options.txt on purpose.

Rewrite the list with: python tests/test_cli_frozen.py
"""

from __future__ import annotations

from pathlib import Path

from rigwise.cli.main import options

FROZEN = Path(__file__).with_name("cli_options.txt")


def words() -> set[str]:
    """Every command with every word it takes; "*" stands for options that are listed one by one beside it."""
    return {line for line in options() if not line.endswith(" *")}


def test_commands_and_options_are_the_frozen_list() -> None:
    frozen, now = set(FROZEN.read_text(encoding="utf-8").splitlines()), words()
    assert now - frozen == set(), "new words: rewrite the list if they are meant"
    assert frozen - now == set(), "words that others may use are gone"


def test_every_command_speaks_json_and_can_be_quiet() -> None:
    now = words()
    for command in {line.rsplit(" ", 1)[0] for line in now}:
        assert {f"{command} --json", f"{command} --quiet", f"{command} --no-color"} <= now, command


if __name__ == "__main__":
    FROZEN.write_text("\n".join(sorted(words())) + "\n", encoding="utf-8")
