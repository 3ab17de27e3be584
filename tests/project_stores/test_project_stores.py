"""A project's stores: opened on first use, for reading only, again, and between tasks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from noskew.config import Config
from noskew.errors import StoreError
from noskew.project_stores.project_stores import ProjectStores
from noskew.project_stores.task_stores import task_stores

CONFIG = Config(project="shop")
KEY, ROW = b"key", b"\0" * 15 + b"\1" + b"row"


def test_what_is_closed_is_opened_again(tmp_path: Path):
    with ProjectStores(tmp_path, config=CONFIG) as stores:
        stores.online.write([KEY], [ROW])
        first = stores.online
        stores.close()
        assert stores.online is not first
        assert stores.online.read([KEY]) == [ROW]


def test_a_reader_of_a_project_that_was_never_filled_has_an_empty_store(tmp_path: Path):
    with ProjectStores(tmp_path, config=CONFIG, read_only=True) as stores:
        assert stores.online.read([KEY]) == [None]


def test_a_reader_cannot_write(tmp_path: Path):
    with (
        ProjectStores(tmp_path, config=CONFIG, read_only=True) as stores,
        pytest.raises(StoreError),
    ):
        stores.online.write([KEY], [ROW])


def test_a_store_whose_files_were_replaced_is_opened_again_while_the_old_is_read(tmp_path: Path):
    with ProjectStores(tmp_path / "other", config=CONFIG) as other:
        other.online.write([KEY], [ROW])
    with ProjectStores(tmp_path / "here", config=CONFIG, read_only=True) as stores:
        before = stores.online
        online = Path(".noskew/online")
        shutil.rmtree(tmp_path / "here" / online)
        shutil.copytree(tmp_path / "other" / online, tmp_path / "here" / online)
        after = stores.reopen_online()
        assert after is stores.online
        assert after.read([KEY]) == [ROW]
        assert before.read([KEY]) == [None]


def test_the_stores_of_a_task_stay_open_until_one_of_another_project_comes(tmp_path: Path):
    stores = task_stores(tmp_path, CONFIG)
    stores.online.write([KEY], [ROW])
    online = stores.online
    assert task_stores(tmp_path, Config(project="shop")).online is online
    other = task_stores(tmp_path, Config(project="bakery"))
    assert other is not stores
    assert "online" not in vars(stores)
    other.close()
