"""What must hold of the repository itself: licence, lock, commands, nothing of one machine."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "demo",
    "test",
    "check",
    "format",
    "bench",
    "bench-peers",
    "docs",
    "lock",
    "clean",
    "conformance",
}

# A path of one machine: at the start of a word, so that a route or a relative path such as
# "examples/work/" is none. Written in parts, so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.*-])/(?:" + "|".join(["work/", "root/", "tmp/bash"]) + ")")


def lock_text() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def machine_paths(text: str) -> list[str]:
    return [line for line in text.splitlines() if MACHINE_PATH.search(line)]


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout (an unpacked source archive)")
    files = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


def makefile_targets() -> dict[str, str]:
    """Each target that a person can type, with its help text ("" where there is none)."""
    rules = re.findall(
        r"^([a-z][a-z-]*):(?!=)(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M
    )
    return {target: rest.partition("## ")[2].strip() for target, rest in rules}


# --- the lock


def test_the_lock_names_no_index_and_no_place():
    places = re.compile(
        r"://|^\s*-(?:i|f|e)\b|--(?:extra-)?index|--find-links|--trusted-host|file:"
    )
    assert [line for line in lock_text().splitlines() if places.search(line)] == []
    absolute = re.compile(r"(?:^|[\s=(])(?:/|~/|[A-Za-z]:\\)")
    assert [line for line in lock_text().splitlines() if absolute.search(line)] == []


def test_everything_in_the_lock_is_pinned_and_hashed():
    entries = re.split(r"^(?=[A-Za-z0-9])", lock_text(), flags=re.M)[1:]
    assert len(entries) > 50
    for entry in entries:
        name = entry.split()[0]
        assert "==" in name, f"{name} is not pinned; run `make lock`"
        assert "--hash=sha256:" in entry, f"{name} has no hash; run `make lock`"


def test_the_lock_satisfies_the_project_file():
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock_text(), re.M):
        locked.setdefault(canonicalize_name(name), []).append(version)
    config = pyproject()
    project = config["project"]
    wanted = [*project["dependencies"], *config["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name == project["name"]:
            continue
        assert name in locked, f"{requirement} is not in requirements.lock; run `make lock`"
        for version in locked[name]:
            assert requirement.specifier.contains(version, prereleases=True), (
                f"requirements.lock has {name} {version}, but {requirement} is asked for; "
                f"run `make lock`"
            )


# --- commands


def test_every_target_says_what_it_does():
    targets = makefile_targets()
    assert set(targets) >= COMMANDS
    assert [target for target, text in targets.items() if not text] == []


def test_make_alone_lists_every_target():
    # Inside `make test` the outer run's flags would be inherited, and change what is printed.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    shown = subprocess.run(
        ["make"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    listed = re.findall(r"^  make (\S+)", shown.stdout, re.M)
    assert listed == list(makefile_targets())


def test_every_target_is_phony():
    # A target that is not phony does nothing once a file or a folder has its name, as docs/ has.
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert phony is not None
    assert set(phony[1].split()) == set(makefile_targets())


@pytest.mark.parametrize(
    "script", [".ci/run", *sorted(f"scripts/{p.name}" for p in (ROOT / "scripts").glob("*.sh"))]
)
def test_scripts_are_executable_and_stop_at_the_first_failure(script):
    path = ROOT / script
    assert os.access(path, os.X_OK), f"chmod +x {script}"
    assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(path)], check=True)


# --- texts


def test_the_licence_is_the_whole_apache_licence():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert pyproject()["project"]["license"] == "Apache-2.0"


def test_the_changelog_has_a_place_for_the_next_change():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[0] == "[Unreleased]"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /" + "work/main/x", True),
        ('"/' + 'root/.cache"', True),
        ("file:///" + "work/a", True),
        ("/tmp/" + "bash_jobs.0/1", True),
        ("examples/work/a", False),
        ("https://example.org/root/a", False),
        (".work/", False),
        ("the /roots of the tree", False),
    ],
)
def test_a_path_of_one_machine_is_recognised(text, found):
    assert bool(machine_paths(text)) == found


def test_no_tracked_file_names_a_path_of_one_machine():
    found = {}
    for file in tracked_files():
        # Binary files too: a compiled or saved artefact is where such a path hides best.
        if lines := machine_paths(file.read_bytes().decode("utf-8", errors="replace")):
            found[str(file.relative_to(ROOT))] = lines[0][:200]
    assert found == {}


# --- import directions


def test_the_contracts_cover_the_configuration():
    # import-linter refuses to name a module that does not exist, so this waits for the module.
    if not any((ROOT / "src/noskew" / name).exists() for name in ("config.py", "config")):
        pytest.skip("there is no noskew.config yet")
    forbidding = {
        contract["name"]
        for contract in pyproject()["tool"]["importlinter"]["contracts"]
        if "noskew.config" in contract.get("forbidden_modules", [])
    }
    assert {
        "stores know bytes, schemas and batches, never definitions",
        "the kernel does no I/O",
    } <= forbidding
