"""``noskew`` as a user starts it: how long it takes, how it fails, and what it serves."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from noskew.cli.demo.server import running
from noskew.client import Client
from noskew.clock import MICROS_PER_SECOND, SystemClock, to_text
from tests.cli.project import ok
from tests.servers import free_port, wait_until

NOSKEW = (sys.executable, "-m", "noskew.cli")
#: Libraries that take long to import, so that `--help` must do without.
SLOW = ("pyarrow", "numpy", "duckdb", "numba", "sqlalchemy", "sqlglot", "pyiceberg", "pandas")


def noskew(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NOSKEW, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
        timeout=240,
    )


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys; from noskew.cli.app import app\n"
        "try: app(['--help'], prog_name='noskew')\n"
        f"except SystemExit: print([n for n in {SLOW!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "materialize" in done.stdout


def test_help_takes_at_most_0_7_seconds() -> None:
    """Of processor time, least of five: what it takes does not depend on who else runs."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    taken = []
    for _ in range(5):
        before = used()
        assert noskew("--help").returncode == 0
        taken.append(used() - before)
    assert min(taken) <= 0.7


def test_an_error_is_one_panel_on_stderr(tmp_path: Path) -> None:
    done = noskew("-C", tmp_path, "plan")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "ConfigError" in done.stderr
    assert "noskew init" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = noskew("--debug", "-C", tmp_path, "plan")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr


@pytest.mark.parametrize(
    "words", [("frobnicate",), ("get",), ("plan", "--nonsense"), ("diff", "x")]
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...]) -> None:
    done = noskew(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_error_in_a_feature_file_names_the_file(shop: Path) -> None:
    (shop / "features" / "broken.py").write_text("import nothing_of_this_name\n")
    done = noskew("-C", shop, "plan")
    assert done.returncode == 1
    assert "broken.py" in done.stderr
    assert "nothing_of_this_name" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_that_is_not_ours_is_a_sentence_too(shop: Path) -> None:
    done = noskew(
        "-C",
        shop,
        "historical",
        "checkout",
        shop / "data" / "questions.parquet",
        "-o",
        shop / "absent" / "out.parquet",
    )
    assert done.returncode == 1
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_whole_way_in_processes(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    rows, out = root / "data" / "questions.parquet", root / "training.parquet"
    for words in (
        ("init", root),
        ("-C", root, "plan"),
        ("-C", root, "apply", "--yes"),
        ("-C", root, "ingest"),
        ("-C", root, "materialize"),
        ("-C", root, "historical", "checkout", rows, "-o", out, "--known-at", "row"),
    ):
        done = noskew(*words)
        assert done.returncode == 0, done.stderr
    done = noskew("-C", root, "get", "checkout", "customer=c000", "basket=30", "--json")
    assert json.loads(done.stdout)["values"]["orders_7d"][0] > 0
    assert out.stat().st_size > 0


def test_serve_answers_as_get_does(filled: Path) -> None:
    at = to_text(SystemClock().now() + 3_600 * MICROS_PER_SECOND)
    asked = ok("-C", filled, "get", "checkout", "customer=c000", "basket=30", "--json", "--at", at)
    expected = json.loads(asked.out)["values"]
    with running(filled, at) as url, Client(url) as client:
        answer = client.get_online_features("checkout", {"customer": ["c000"], "basket": [30.0]})
        assert answer.to_dict() == expected
    with pytest.raises(httpx.TransportError):
        httpx.get(url, trust_env=False)


def test_serve_stops_at_a_signal(filled: Path) -> None:
    port = free_port()
    words = [*NOSKEW, "-C", str(filled), "serve", "--port", str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            wait_until(lambda: _answers(port) or process.poll() is not None, "it serves", 90)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_serve_refuses_an_address_that_others_reach(filled: Path) -> None:
    done = noskew("-C", filled, "serve", "--host", "0.0.0.0", "--port", str(free_port()))
    assert done.returncode == 1
    assert "--insecure" in done.stderr


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
