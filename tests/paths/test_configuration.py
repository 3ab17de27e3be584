"""``noskew.toml``: environment variables, settings of the object store, nothing secret shown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import noskew as ns
from noskew import config
from noskew.config import Config, OfflineConfig, OnlineConfig
from noskew.errors import ConfigError
from noskew.redaction import masked, masked_settings

SECRET = "hunter2"


def loaded(root: Path, text: str) -> Config:
    (root / "noskew.toml").write_text(f'project = "flights"\n{text}')
    return config.load(root)


def test_variables_are_put_in_and_two_dollars_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "redis.example.org")
    monkeypatch.setenv("PORT", "7000")
    monkeypatch.setenv("EMPTY", "")
    made = loaded(
        tmp_path,
        'features = "a$$b$${HOST}${EMPTY}"\n[online]\nurl = "redis://${HOST}:${PORT}/0"\n'
        '[serve]\nport = "${PORT}"\n',
    )
    assert made.features == "a$b${HOST}"
    assert made.online.url == "redis://redis.example.org:7000/0"
    assert made.serve.port == 7000


def test_what_a_variable_holds_is_not_looked_into_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTER", "${INNER}$$")
    assert loaded(tmp_path, 'features = "${OUTER}"').features == "${INNER}$$"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[online]\nurl = "redis://:${NOT_SET_1}@h"', r"online\.url .* NOT_SET_1, which is not"),
        ('[registry]\nurl = "${ NOT_SET_1}"', r"registry\.url has a '\$'"),
        ('[registry]\nurl = "hunter2$"', r"registry\.url has a '\$' that is neither"),
        ('[registry]\nurl = "$HOME"', r"registry\.url has a '\$'"),
        ('[serve]\nport = "${HUNTER}"', r"Expected `int`, got `str` - at `\$\.serve\.port`"),
        ('[serve]\nport = "6580"', r"Expected `int`, got `str`"),
        ('[offline.properties]\ns3.access = ["hunter2"]', r"offline\.properties"),
    ],
)
def test_a_fault_names_the_key_and_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.setenv("HUNTER", SECRET)
    with pytest.raises(ConfigError, match=says) as caught:
        loaded(tmp_path, text)
    assert SECRET not in str(caught.value)


def test_settings_of_the_object_store_in_either_spelling(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        "[offline.properties]\ns3.endpoint = 'http://a'\n\"s3.region\" = 'eu'\n"
        "s3.force-virtual-addressing = true\ns3.connect-timeout = 1.5\n",
    )
    assert made.offline.properties == {
        "s3.endpoint": "http://a",
        "s3.region": "eu",
        "s3.force-virtual-addressing": "true",
        "s3.connect-timeout": "1.5",
    }


def test_a_configuration_shows_itself_without_secrets(tmp_path: Path) -> None:
    made = Config(
        project="flights",
        offline=OfflineConfig(
            catalog=f"postgresql://me:{SECRET}@h/d?sslpassword={SECRET}",
            properties={
                "s3.secret-access-key": SECRET,
                "s3.region": "eu",
                "uri": f"x://:{SECRET}@h",
            },
        ),
        online=OnlineConfig(url=f"redis://:{SECRET}@h:1/0?timeout_s=1"),
    )
    page = io.StringIO()
    Console(file=page).print(made)
    for text in (repr(made), str(made), page.getvalue()):
        assert SECRET not in text
        assert "eu" in text
        assert "timeout_s=1" in text
    with ns.FeatureStore(tmp_path, config=made) as store:
        assert repr(store) == f"<FeatureStore: project flights in {tmp_path}, online in redis>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lmdb:///.noskew/online?map_size=1", "lmdb:///.noskew/online?map_size=1"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://me:a@b:c@h/0", "redis://***@h/0"),
        ("postgresql://me@h/d?password=x&sslmode=r", "postgresql://me@h/d?password=***&sslmode=r"),
        ("s3://bucket/a", "s3://bucket/a"),
    ],
)
def test_masked_addresses(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_masked_settings() -> None:
    given = {"s3.access-key-id": "a", "s3.session-token": "b", "token": "c", "type": "sql"}
    assert masked_settings(given) == {**dict.fromkeys(given, "***"), "type": "sql"}


@pytest.mark.parametrize(
    ("catalog", "says"),
    [
        ("postgresql://me:hun@hunter2@h/d", "second '@'; write %40"),
        ("postgresql://me:hunter2@h:port/d", "not a database URI"),
        ("hunter2", "not a database URI"),
        ("mysql://me:hunter2@h/d", "catalog of the offline store has an address of scheme 'mysql'"),
        ("sqlite://", "must be a file"),
    ],
)
def test_a_catalog_that_is_none_is_refused_without_repeating_its_address(
    tmp_path: Path, catalog: str, says: str
) -> None:
    made = Config(project="flights", offline=OfflineConfig(catalog=catalog))
    with (
        ns.FeatureStore(tmp_path, config=made) as store,
        pytest.raises(ConfigError, match=says) as caught,
    ):
        _ = store.offline
    assert SECRET not in str(caught.value)
