"""What commands import, and what they must not: start-up time is a matter of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from noskew.cli.app import app
from noskew.cli.groups import LazyCommand

_COMMAND = """
import sys
from noskew.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("\\n".join(sys.modules), file=sys.stderr)
"""
_STORE = """
import sys
import noskew
noskew.FeatureStore(project="shop")
print("\\n".join(sys.modules), file=sys.stderr)
"""
#: Compilers, engines and table formats: each costs more than a small command itself.
_ENGINES = {"numba", "duckdb", "sqlglot", "pyspark", "polars", "scipy"}
_TABLES = {"pyiceberg", "pyarrow.parquet", "pyarrow.dataset"}
_WORK = {"noskew.training.history", "noskew.streaming.streams", "noskew.audit.audit"}
_SERVER = {"granian", "noskew.serving.http", "prometheus_client"}
_HEAVY = _ENGINES | _TABLES | _WORK | _SERVER | {"pandas", "noskew.kernel"}
_GET = ["get", "checkout", "customer=c000", "basket=30"]


def _imported(program: str, root: Path, *words: str) -> set[str]:
    """The modules that a process of its own has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (["--help"], _HEAVY | {"sqlalchemy", "numpy", "pyarrow", "noskew.definitions"}),
        (["stream", "--help"], _HEAVY | {"sqlalchemy", "numpy", "pyarrow", "noskew.definitions"}),
        (["list", "services"], _HEAVY | {"numpy", "pyarrow"}),
        (["list"], _HEAVY),
        (["show", "checkout"], _HEAVY | {"numpy", "pyarrow"}),
        (["show", "customer_orders"], _HEAVY),
        (["plan"], _HEAVY | {"numpy", "pyarrow"}),
        (["diff"], _HEAVY | {"numpy", "pyarrow"}),
        # A read is computed by the kernel. What numba and pyarrow look for by themselves, such as
        # pandas, depends on what is installed.
        (
            _GET,
            {"duckdb", "sqlglot", "pyspark", "polars", "scipy.linalg"} | _TABLES | _WORK | _SERVER,
        ),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, list) else "",
)
def test_a_command_imports_only_what_it_needs(
    filled: Path, words: list[str], without: set[str]
) -> None:
    assert _imported(_COMMAND, filled, *words) & without == set()


def test_a_store_that_was_not_asked_for_anything_has_imported_nothing(tmp_path: Path) -> None:
    others = {"sqlalchemy", "numpy", "pyarrow", "lmdb"}
    assert _imported(_STORE, tmp_path) & (_HEAVY | others) == set()


def test_the_lists_of_commands_say_what_the_commands_say() -> None:
    def check(group: object, names: str) -> int:
        assert isinstance(group, typer.core.TyperGroup)
        for name, stand_in in group.commands.items():
            assert isinstance(stand_in, LazyCommand)
            command = stand_in.load()
            assert stand_in.help == command.help, f"{names} {name}"
            assert stand_in.rich_help_panel == command.rich_help_panel
            if isinstance(command, typer.core.TyperGroup):
                check(command, f"{names} {name}")
        return len(group.commands)

    assert check(typer.main.get_command(app), "noskew") > 15


@pytest.mark.parametrize(
    "before",
    ["import numba.np.linalg as m; del m.ensure_blas", "import sys; sys.modules['scipy'] = None"],
    ids=["another numba", "no SciPy"],
)
def test_kernels_do_not_depend_on_how_numba_looks_for_scipy(before: str) -> None:
    """A patch release of numba may look for it in another way, and few have SciPy."""
    subprocess.run([sys.executable, "-c", f"{before}; import noskew.kernel.jit"], check=True)
