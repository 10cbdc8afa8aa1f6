"""The pages are true: examples are run, commands exist, links lead somewhere, each law has its card."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

import rigwise
from house import PACKAGE, ROOT
from rigwise.layouts.layout import COMPRESS, OFFLOAD, OVERLAP, PRECISIONS, RECOMPUTE, SEQUENCE, Layout

DOCS = ROOT / "docs"
PAGES = [p for p in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]) if "_build" not in p.parts]
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, *kinds: str) -> list[tuple[int, str]]:
    """The fenced blocks of a page that are of a kind, with the line on which each begins."""
    text = path.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, fence.start("body")), fence["body"])
        for fence in FENCE.finditer(text)
        if fence["kind"].strip() in kinds
    ]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_the_python_on_a_page_runs_and_prints_what_the_page_says(page: Path) -> None:
    parser, runner, report = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS), []
    names: dict[str, object] = {}
    for line, body in blocks(page, "python"):
        example = parser.get_doctest(body, names, name(page), str(page), line)
        assert example.examples, f"{name(page)}:{line + 1} shows Python that is not run: begin its lines with >>>"
        runner.run(example, out=report.append, clear_globs=False)
        names.update(example.globs)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "console")], ids=name)
def test_the_commands_on_a_page_can_be_typed(page: Path) -> None:
    from rigwise.cli.main import build

    app = build()
    for _, body in blocks(page, "console"):
        for line in re.findall(r"^\$ rigwise(?: (.+))?$", body, re.MULTILINE):
            words = shlex.split(line or "")
            if words and "--help" not in words and "--version" not in words:
                app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "toml")], ids=name)
def test_the_files_on_a_page_can_be_read(page: Path, tmp_path: Path) -> None:
    for line, body in blocks(page, "toml"):
        path = tmp_path / f"line-{line}.toml"
        path.write_text(body, encoding="utf-8")
        read = rigwise.load_cluster(str(path)).devices if "[node]" in body else rigwise.load_model(str(path)).parameters
        assert read > 0


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_named_on_a_page_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^|\$ )make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install rigwise[docs]")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "glossary.html").is_file()


def test_every_word_of_the_glossary_stands_once_and_in_order() -> None:
    words = []
    for _, body in blocks(DOCS / "glossary.md", "{glossary}"):
        lines = body.splitlines()
        words += [line.casefold() for line in lines if line and not line.startswith((" ", ":"))]
        for above, below in pairwise(lines):
            assert not above or above.startswith(" ") or below.startswith("  "), f"{above}: no definition"
    assert len(words) > 80
    assert sorted(words) == words
    assert len(set(words)) == len(words)


def test_every_word_of_the_glossary_is_explained() -> None:
    terms = tomllib.loads((PACKAGE / "advise" / "data" / "terms.toml").read_text(encoding="utf-8"))
    said: dict[str, str] = {}
    for _, body in blocks(DOCS / "glossary.md", "{glossary}"):
        word = ""
        for line in filter(None, body.splitlines()):
            word = word if line.startswith(" ") else line
            said[word] = f"{said.get(word, '')} {line.strip()}".strip() if line.startswith(" ") else ""
    assert {word: row["says"] for word, row in terms.items()} == said, (
        "terms.toml has each word, as the glossary has it"
    )


def test_the_command_line_page_spells_every_word_of_a_layout() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    words = [*(field.name for field in fields(Layout)), *SEQUENCE, *RECOMPUTE, *OVERLAP]
    words += [*COMPRESS, *PRECISIONS, *(word for word in OFFLOAD if "+" not in word)]
    assert not [word for word in words if f"`{word}`" not in page]


def laws() -> list[str]:
    """The modules of cost/ that hold laws; arrays.py holds their types and sums."""
    return [p.stem for p in sorted((PACKAGE / "cost").glob("*.py")) if p.stem not in ("__init__", "arrays")]


@pytest.mark.parametrize("law", laws())
def test_every_law_is_named_by_a_card(law: str) -> None:
    cards = "".join(p.read_text(encoding="utf-8") for p in (DOCS / "laws").glob("*.md"))
    assert f"cost/{law}.py" in cards, f"no card in docs/laws names cost/{law}.py"


CARDS = [p for p in sorted((DOCS / "laws").glob("*.md")) if p.name != "index.md"]


@pytest.mark.parametrize("card", CARDS, ids=name)
def test_every_card_shows_its_arithmetic(card: Path) -> None:
    text = card.read_text(encoding="utf-8")
    for heading in ("Formula", "Terms", "What it leaves out", "Source", "Worked number"):
        assert f"\n## {heading}\n" in text, f"{name(card)} has no section {heading}"
    assert blocks(card, "python"), "a worked number is a doctest"
