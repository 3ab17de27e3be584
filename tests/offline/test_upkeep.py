"""An Iceberg table that is written for months: what is kept of it, and what goes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.errors import CorruptDataError
from noskew.stores.offline import Commit, IcebergStore
from noskew.stores.offline.tokens import expired_commit, from_properties, to_properties
from noskew.testing.offline_store import facts, simple

_NAMES = st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True)
_NUMBERS = st.integers(0, 2**63 - 1)


def table_files(home: Path) -> list[Path]:
    return [path for path in (home / "noskew").rglob("*") if path.is_file()]


@pytest.fixture
def store(tmp_path: Path) -> IcebergStore:
    with IcebergStore(f"sqlite:///{tmp_path}/catalog.db", str(tmp_path)) as opened:
        opened.create(simple())
        yield opened


def test_files_are_as_many_as_the_retention_is_long(store: IcebergStore, tmp_path: Path) -> None:
    """Ten commits of each age are kept, whatever came before them."""
    made: list[int] = []
    counts: list[tuple[int, int, int]] = []
    for n in range(90):
        store.append("facts", [facts([(k, n, 1.0) for k in range(4)])], notes={"n": f"{n}"})
        store.compact("facts", small=True)
        made.append(store.info("facts").committed_at or 0)
        if n % 10 == 9:
            store.expire("facts", before=made[max(0, n - 10)])
            files = table_files(tmp_path)
            size = max(p.stat().st_size for p in files if p.name.endswith(".metadata.json"))
            counts.append((len(files), len(store._state("facts").table.snapshots()), size))
    for count, early in zip(counts[-1], map(max, zip(*counts[2:5], strict=True)), strict=True):
        assert count <= 1.2 * early
    assert counts[-1][1] < 40
    assert store.info("facts").rows == 4 * 90


def test_expire_removes_what_nothing_refers_to(store: IcebergStore, tmp_path: Path) -> None:
    for n in range(3):
        store.append("facts", [facts([(k, n, 1.0) for k in range(4)])], token=f"t{n}")
    place = next((tmp_path / "noskew").iterdir())
    left = [place / "data" / "append" / "0.parquet", place / "metadata" / "gone.avro"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left behind")
    assert store.expire("facts", before=0) == 0
    assert all(path.exists() for path in left), "nothing was forgotten, so nothing was looked at"
    assert store.expire("facts", before=2**62) == 2
    assert not any(path.exists() for path in left)
    lists = {Path(s.manifest_list) for s in store._state("facts").table.snapshots()}
    assert lists == {path for path in table_files(tmp_path) if path.name.startswith("snap-")}


@given(
    old=st.dictionaries(_NAMES, st.tuples(_NUMBERS, _NUMBERS)),
    new=st.dictionaries(_NAMES, st.tuples(_NUMBERS, _NUMBERS)),
)
def test_tokens_come_back(old: dict[str, tuple[int, int]], new: dict[str, tuple[int, int]]) -> None:
    properties: dict[str, str] = {}
    for some in (old, new):
        commits = [Commit(*made, token) for token, made in some.items()]
        properties |= to_properties(from_properties("t", properties), commits)
    expired = from_properties("t", properties)
    for token, made in (old | new).items():
        assert expired_commit(expired, token) == Commit(*made, token, repeated=True)
    assert len(expired) == len(old | new)
    assert expired_commit(expired, "x" * 129) is None


@pytest.mark.parametrize("text", ["?", "AAAA", base64.b64encode(b"x" * 33).decode()])
def test_damaged_tokens_are_not_taken_for_none(text: str) -> None:
    """Or an ingest would be repeated."""
    (name,) = to_properties({}, [])
    with pytest.raises(CorruptDataError, match="'t'"):
        from_properties("t", {name: text})
