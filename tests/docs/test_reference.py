"""The generated reference is complete, deterministic and up to date."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest
import typer

import noskew
from docs import build, figures
from noskew import config
from noskew.cli.app import app


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return build.pages()


def _headings(text: str) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", text, re.M))


def test_the_committed_reference_is_up_to_date(made: dict[str, str]) -> None:
    committed = {
        path.name: path.read_text(encoding="utf-8") for path in build.REFERENCE.glob("*.md")
    }
    stale = sorted(name for name in {*made, *committed} if made.get(name) != committed.get(name))
    assert not stale, f"run `make docs`; not as the code says: {', '.join(stale)}"


def test_the_same_code_gives_the_same_pages(made: dict[str, str]) -> None:
    assert build.pages() == made


def test_pages_hold_no_addresses_of_objects_or_places(made: dict[str, str]) -> None:
    for name, text in made.items():
        assert not re.search(r" at 0x[0-9a-f]{6}", text), name
        assert str(figures.ROOT) not in text, name


def test_every_public_name_is_documented(made: dict[str, str]) -> None:
    documented = set().union(*map(_headings, made.values()))
    by_table = {"NoskewError"}  # errors are rows of a table
    assert set(noskew.__all__) - documented == by_table
    assert "`NoskewError`" in made["errors.md"]


def test_every_public_method_is_documented(made: dict[str, str]) -> None:
    headings = _headings(made["feature-store.md"])
    methods = {name for name in vars(noskew.FeatureStore) if not name.startswith("_")}
    assert {f"FeatureStore.{name}" for name in methods} <= headings


def test_every_configuration_key_is_documented(made: dict[str, str]) -> None:
    keys = set(_keys(config.Config, ""))
    assert keys == set(build.KEYS)
    for key in keys:
        assert f"| `{key}` |" in made["configuration.md"]


def _keys(kind: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _keys(field.type, f"{field.name}.")
        else:
            yield prefix + field.name


def test_every_command_and_option_is_documented(made: dict[str, str]) -> None:
    commands = dict(build.every_command(typer.main.get_command(app), "noskew"))
    assert commands.keys() == _headings(made["commands.md"]) - {"Commands"}
    assert "noskew stream replay" in commands, "commands of a group are commands"
    for name, command in commands.items():
        assert command.help, f"{name} has no help"
        for parameter in command.params:
            if parameter.name != "help":
                assert parameter.help, f"{name}: {parameter.name} has no help"


def test_every_error_is_documented(made: dict[str, str]) -> None:
    for kind in build.error_classes():
        assert f"| `{kind.__name__}` |" in made["errors.md"]
        assert re.search(rf"\b{kind.__name__}\b", made["errors.md"].split("| error |")[0])


def test_sections_of_a_docstring_become_lists() -> None:
    text = "What it is.\n\nParameters\n----------\na, b\n    One\n    thing.\nc\n    Another ``x``."
    assert build.markdown(text) == (
        "What it is.\n\n**Parameters**\n\n- `a`, `b`: One thing.\n- `c`: Another `x`."
    )


def test_literal_blocks_become_fences() -> None:
    assert build.markdown("See::\n\n    a ``b``\n\nEnd ``c``.") == (
        "See:\n\n```text\na ``b``\n```\n\nEnd `c`."
    )


def test_ruled_tables_become_fences() -> None:
    text = "= =\na b\n= =\n1 ``2``\n= =\nEnd."
    assert build.markdown(text) == "```text\n= =\na b\n= =\n1 2\n= =\n```\n\nEnd."
