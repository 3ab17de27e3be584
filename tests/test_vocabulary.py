"""One word for one thing: no name has two meanings, and no thing has two words again."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "noskew"

#: A command is called what the user types; ``main`` is where a process starts.
COMMANDS, ENTRY_POINT = "cli/commands/", "main"
#: Names of contracts that more than one room implements, with the reason.
CONTRACTS: dict[str, str] = {
    "LocalLog": "a source's definition names the log that the store of this name opens",
}
#: Still to be renamed, each by the owner of the room named. The table only becomes shorter.
TO_RENAME: dict[str, str] = {
    "Client": "stores",
    "Frame": "stores",
    "archive_space": "streaming, once addresses gives it",
    "carry": "stores",
    "check_name": "stores",
    "conform": "stores",
    "encode": "stores, serving",
    "has_generation": "kernel, once addresses gives it",
    "is_entity_key": "kernel, once addresses gives it",
    "numbered": "registry, testing",
    "on_demand": "cli, registry",
    "part_of": "kernel, once addresses gives it; stores",
    "part_suffix": "kernel, once addresses gives it",
    "service": "registry, testing",
    "time_bytes": "streaming, once addresses gives it",
    "time_of": "streaming, once addresses gives it",
    "version_of": "registry, testing",
    "views": "cli, testing",
    "whole": "testing",
    "write": "cli, registry",
}
#: Words that were second ones for something, and the word for it.
BANNED = {
    "aside": "quarantine",
    "asides": "quarantine",
    "claims": "assignment, or folded facts",
    "footing": "generation",
    "footings": "generations",
    "ground": "coverage, or fold base",
    "grounds": "coverage, or fold base",
    "salvage": "bisect failures",
}
#: Names with a banned word that an owner of another room must rename.
STILL_BANNED = {"footing_key", "Grounds", "grounds"}


@cache
def modules() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(SOURCE.rglob("*.py"))
    ]


def room_of(path: str) -> str:
    return path.split("/", maxsplit=1)[0].removesuffix(".py")


def definitions() -> dict[str, dict[str, list[str]]]:
    """The places of each public class or function of a module, by name and room."""
    places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, module in modules():
        if path.startswith(COMMANDS):
            continue
        for node in module.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not node.name.startswith("_") and node.name != ENTRY_POINT:
                places[node.name][room_of(path)].append(f"{path}:{node.lineno}")
    return places


def public_names() -> Iterator[tuple[str, str]]:
    """Names of classes, functions, methods, their parameters, and annotated attributes."""
    for path, module in modules():
        for node in ast.walk(module):
            names: list[str] = []
            if isinstance(node, ast.ClassDef):
                names = [node.name]
                names += [
                    item.target.id
                    for item in node.body
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
                ]
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [node.name, *(a.arg for a in (*node.args.args, *node.args.kwonlyargs))]
            for name in names:
                if not name.startswith("_"):
                    yield name, f"{path}:{node.lineno}"


def words(name: str) -> set[str]:
    """``QuarantineTable`` and ``quarantine_table`` are made of the same words."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def shown(rooms: dict[str, list[str]]) -> str:
    return " and ".join(place for places in rooms.values() for place in places)


def test_no_name_is_defined_in_two_rooms() -> None:
    twice = {
        name: shown(rooms)
        for name, rooms in definitions().items()
        if len(rooms) > 1 and name not in CONTRACTS and name not in TO_RENAME
    }
    assert not twice, "\n".join(f"{name}: {places}" for name, places in twice.items())


def test_what_was_renamed_is_no_exception_any_more() -> None:
    places = definitions()
    once = {n for n in {*CONTRACTS, *TO_RENAME} if len(places.get(n, {})) < 2}
    assert not once, f"in one room only, so take them out of the tables: {sorted(once)}"


def test_words_that_were_given_up_do_not_come_back() -> None:
    back = {
        f"{place}: {name} (say {BANNED[word]})"
        for name, place in public_names()
        for word in words(name) & BANNED.keys()
        if name not in STILL_BANNED
    }
    assert not back, "\n".join(sorted(back))


def test_a_word_is_found_however_a_name_is_written() -> None:
    assert words("FoldGround") == words("fold_ground") == {"fold", "ground"}
    assert not words("background_archive") & BANNED.keys()


# --------------------------------------------------------------------------- the glossary


def glossary() -> list[tuple[str, str, str]]:
    """Term, meaning and place of each row of the glossary's tables."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in row) for row in rows]
    assert all(len(row) == 3 for row in cells)
    return [row for row in cells if row[0] != "term" and set(row[0]) != {"-"}]  # type: ignore[misc]


def test_the_glossary_has_each_term_once_with_a_meaning_of_its_own() -> None:
    for column in (0, 1):
        often = Counter(row[column].casefold() for row in glossary())
        assert [text for text, count in often.items() if count > 1 or not text] == []


def test_the_glossary_uses_no_word_that_was_given_up() -> None:
    terms = {word for term, _, _ in glossary() for word in term.split()}
    assert not terms & BANNED.keys()


def test_what_the_glossary_names_is_there() -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for path, module in modules():
        for node in module.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names[room_of(path)].add(node.name)
            elif isinstance(node, ast.Assign):
                targets = [n for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
                names[room_of(path)] |= {target.id for target in targets}
    gone = []
    for term, _, place in glossary():
        room, _, name = place.strip("`").partition(".")
        if name not in names[room]:
            gone.append(f"{term}: {place}")
    assert gone == []
