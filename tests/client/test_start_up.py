"""What loading a client costs: no kernel, no definitions, nothing that compiles."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = """
import sys
import noskew
{statement}
print(*sorted(sys.modules))
"""
#: What takes long, or belongs to rooms that a client has nothing to do with.
HEAVY = ("numba", "duckdb", "sqlglot", "pyiceberg", "sqlalchemy", "noskew.kernel")
OTHER_ROOMS = ("noskew.definitions", "noskew.config", "noskew.serving", "noskew.reading")


def loaded(statement: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("statement", ["import noskew.client", "noskew.Client, noskew.AsyncClient"])
def test_naming_a_client_loads_neither_arrow_nor_http(statement):
    modules = loaded(statement)
    assert "noskew.client.client" in modules
    assert modules.isdisjoint({*HEAVY, *OTHER_ROOMS, "pyarrow", "numpy", "httpx", "asyncio"})


def test_making_a_client_loads_no_arrow():
    modules = loaded("noskew.Client('http://127.0.0.1:1')")
    assert "httpx" in modules
    assert modules.isdisjoint({*HEAVY, *OTHER_ROOMS, "pyarrow", "numpy"})


def test_an_answer_loads_no_compiler():
    modules = loaded("import noskew.client.rows, noskew.wire.arrow_answer")
    assert "pyarrow" in modules
    assert modules.isdisjoint({*HEAVY, *OTHER_ROOMS})


def test_a_missing_http_library_names_the_extra():
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['httpx'] = None\n"
            "import noskew as ns\n"
            "try:\n    ns.Client('http://127.0.0.1:1')\n"
            "except ns.NoskewError as error:\n    print(type(error).__name__, error)\n",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith("MissingExtraError noskew.Client needs httpx")
    assert "noskew[client]" in run.stdout
