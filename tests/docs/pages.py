"""Documentation pages as programs: every fenced block is run, written, parsed or compared.

============  ========================================================================
block         what a test does with it
============  ========================================================================
``python``    runs it; the blocks of a page are one program, in order, in an empty directory.
              One whose first line is ``# name.py`` is written to that file instead
``toml``      parses it as a project's configuration; ``# noskew.toml`` first: written as well
``output``    compares it with what was printed since the last comparison
``console``   runs its lines ``$ noskew …`` (one that ends in ``&`` until the page ends),
              ``$ pytest …`` and ``$ curl …``, whose answer counts as printed; checks that the
              targets of ``$ make …`` and the extras of ``$ pip install …`` exist
``json``      parses it
``text``      nothing: it draws or quotes
============  ========================================================================
"""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from noskew import config
from tests.servers import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
LANGUAGES = frozenset({"python", "toml", "output", "console", "json", "text"})
_FENCE = re.compile(r"^```(\w*)\s*$")
_FILE = re.compile(r"^# ([\w/.-]+\.(?:py|toml))$")
#: The name under which a page's program finds its runner. It is a builtin for the time of the
#: run, so that the program's line numbers are those of the page.
_HOOK = "_page_block"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page where it opens."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The file that the block is, if its first line names one."""
        found = _FILE.match(self.text.split("\n", 1)[0])
        return found[1] if found else None


def pages() -> list[Path]:
    """README and every hand-written or generated page below docs/."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page. Raises ValueError for one without an end or a language."""
    found: list[Block] = []
    lines = text.split("\n")
    opened: tuple[int, str] | None = None
    for number, line in enumerate(lines):
        if opened is None:
            if fence := _FENCE.match(line):
                if fence[1] not in LANGUAGES:
                    raise ValueError(f"line {number + 1}: a block of language {fence[1]!r}")
                opened = (number, fence[1])
        elif line == "```":
            start, language = opened
            found.append(Block(language, "\n".join(lines[start + 1 : number]), start + 1))
            opened = None
    if opened is not None:
        raise ValueError(f"the block of line {opened[0] + 1} has no end")
    return found


class Page:
    """One page, run in the present directory. ``replace`` puts real addresses for shown ones."""

    def __init__(self, path: Path, replace: Mapping[str, str]) -> None:
        text = path.read_text(encoding="utf-8")
        self._length = text.count("\n") + 1
        self._replace = replace
        self._blocks = blocks(text)
        self._printed = io.StringIO()
        self._servers: list[subprocess.Popen[bytes]] = []

    def run(self, script: Path) -> None:
        """Run the page. Errors carry the line numbers of the page."""
        script.write_text(self._program(), encoding="utf-8")
        setattr(builtins, _HOOK, self._handle)
        try:
            with contextlib.redirect_stdout(self._printed):
                runpy.run_path(str(script), run_name=script.stem)
        finally:
            delattr(builtins, _HOOK)
            for server in self._servers:
                server.send_signal(signal.SIGTERM)
            for server in self._servers:
                server.wait(timeout=60)

    def _program(self) -> str:
        lines = [""] * self._length
        for index, block in enumerate(self._blocks):
            if block.language == "python" and block.file is None:
                body = self._real(block.text).split("\n")
                lines[block.line : block.line + len(body)] = body
            else:
                lines[block.line - 1] = f"{_HOOK}({index})"
        return "\n".join(lines)

    def _real(self, text: str) -> str:
        for shown, real in self._replace.items():
            text = text.replace(shown, real)
        return text

    def _handle(self, index: int) -> None:
        block = self._blocks[index]
        if block.language == "toml":
            _check_config(self._real(block.text))
        if block.file is not None:
            path = Path(block.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._real(block.text) + "\n", encoding="utf-8")
        elif block.language == "output":
            self._compare(block)
        elif block.language == "console":
            self._console(block)
        elif block.language == "json":
            json.loads(block.text)

    def _compare(self, block: Block) -> None:
        printed = self._printed.getvalue()
        self._printed.seek(0)
        self._printed.truncate()
        found = [line.rstrip() for line in printed.rstrip().split("\n")]
        assert found == block.text.split("\n"), (
            f"line {block.line}: the page says\n{block.text}\n--- and this was printed\n{printed}"
        )

    def _console(self, block: Block) -> None:
        for line in block.text.split("\n"):
            if not line.startswith("$ "):
                continue
            words = shlex.split(line[2:], comments=True)
            if words[0] == "noskew" and words[-1] == "&":
                self._serve([self._real(word) for word in words[1:-1]])
            elif words[0] == "noskew":
                run_command([self._real(word) for word in words[1:]])
            elif words[0] == "curl":
                asked = ["curl", "-sS", *[self._real(word) for word in words[1:]]]
                made = subprocess.run(asked, check=True, capture_output=True, text=True)
                self._printed.write(made.stdout + "\n")
            elif words[0] == "pytest":
                subprocess.run([sys.executable, "-m", "pytest", "-q", *words[1:]], check=True)
            elif words[0] == "make":
                makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
                assert re.search(rf"^{words[1]}:", makefile, re.M), f"no target {words[1]!r}"
            elif words[:2] == ["pip", "install"]:
                _check_extras(words[2])
            else:
                raise AssertionError(f"line {block.line}: who checks {line!r}?")

    def _serve(self, arguments: list[str]) -> None:
        """Start a server that listens where the page says; return when it is ready."""
        program = [sys.executable, "-c", "from noskew.cli import main; main()", *arguments]
        server = subprocess.Popen(program)
        self._servers.append(server)

        def is_ready() -> bool:
            assert server.poll() is None, f"noskew {shlex.join(arguments)} ended"
            try:
                with urllib.request.urlopen(self._real("http://127.0.0.1:6580/readyz")) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, ConnectionError):
                return False

        wait_until(is_ready, "the server to be ready")


def run_command(arguments: list[str]) -> None:
    """Run the command line in this process; its exit code must be 0."""
    from noskew.cli import main

    before, sys.argv = sys.argv, ["noskew", *arguments]
    code: object = 0
    errors = io.StringIO()
    try:
        # What it prints is not the page's: tables, times and paths differ from run to run.
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    assert not code, f"noskew {shlex.join(arguments)} ended with {code}:\n{errors.getvalue()}"


def _check_config(text: str) -> None:
    """Parse a configuration; a part of one is given a project's name."""
    if not re.search(r"^project\b", text, re.M):
        text = 'project = "flights"\n' + text
    folder = Path("checked_config")
    folder.mkdir(exist_ok=True)
    (folder / config.FILE).write_text(text, encoding="utf-8")
    variables = set(re.findall(r"\$\{(\w+)\}", text)) - set(os.environ)
    os.environ.update(dict.fromkeys(variables, "value"))
    try:
        config.load(folder)
    finally:
        for name in variables:
            del os.environ[name]


def _check_extras(requirement: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = re.fullmatch(r"noskew(?:\[([\w,]+)\])?", requirement)
    assert found, f"not this project: {requirement!r}"
    for extra in filter(None, (found[1] or "").split(",")):
        assert extra in project["optional-dependencies"], f"no extra {extra!r}"
