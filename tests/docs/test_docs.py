"""Every block of README and docs/ runs, and every link inside the repository leads somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, Page, blocks, pages
from tests.servers import free_port

_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
_FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
#: Addresses that pages show, and the fixture that gives a real one.
_SERVERS = {
    "redis://localhost:6379/0": "redis_url",
    "redis+cluster://localhost:7000": "redis_cluster_url",
    "dynamodb://features?region=eu-west-1&endpoint=http://localhost:8000": "dynamodb_url",
    "postgresql://noskew:secret@localhost/noskew": "postgres_url",
}


def _name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_every_block_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    text = page.read_text(encoding="utf-8")
    if all(block.language == "text" for block in blocks(text)):
        return
    replace = {
        shown: request.getfixturevalue(fixture)
        for shown, fixture in _SERVERS.items()
        if any(shown in block.text for block in blocks(text))
    }
    if "6580" in text:
        replace["6580"] = str(free_port())
    # Java resolves paths by the folder that it was started in, whoever it works for now.
    replace['parquet("training")'] = f'parquet("{tmp_path}/training")'
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    Page(page, replace).run(tmp_path / "page.py")


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        if heading:
            headings = _HEADING.findall(_FENCED.sub("", file.read_text(encoding="utf-8")))
            assert heading in {_anchor(h) for h in headings}, f"no heading for {target}"


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower())
    return kept.strip().replace(" ", "-")


def test_a_block_that_fails_fails_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nprint(1)\n```\n\n```output\n2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="line 7: the page says"):
        Page(page, {}).run(tmp_path / "page.py")


def test_a_block_needs_a_language() -> None:
    with pytest.raises(ValueError, match="line 2: a block of language ''"):
        blocks("text\n```\nx\n```\n")
