"""What a person can type is in the documentation, and the documentation names nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ytm_bundle.bundle import open_bundle
from ytm_device.bundles import DEMO_BUNDLE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TREE = Path(__file__).resolve().parents[1]
README = (TREE / "README.md").read_text(encoding="utf-8")
COMMANDS_PAGE = (TREE / "docs/commands.md").read_text(encoding="utf-8")
SCRIPTS = sorted(
    tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
MAKE_TARGET = re.compile(r"`(?:\S+ )*?make ([a-z][a-z-]*)")


def help_text(script: str) -> str:
    result = subprocess.run(
        [Path(sys.executable).with_name(script), "--help"],
        env={**os.environ, "COLUMNS": "300", "TERMINAL_WIDTH": "300", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def section(script: str) -> str:
    """The part of docs/commands.md under the heading of `script`."""
    found = re.search(rf"^## `{script}`\n(.*?)(?=^## |\Z)", COMMANDS_PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no heading '## `{script}`'"
    return found[1]


def make_targets() -> set[str]:
    makefile = (TREE / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE)) - {"help"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_flag_of_a_command_is_documented_and_no_other(script: str) -> None:
    flags = set(FLAG.findall(help_text(script)))
    assert set(FLAG.findall(section(script))) == flags - {"--help"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_command_is_in_the_readme(script: str) -> None:
    assert script in README


def test_the_readme_names_every_make_target_and_no_other() -> None:
    assert set(MAKE_TARGET.findall(README)) == make_targets()


def test_no_page_links_to_a_file_that_is_not_there() -> None:
    pages = [TREE / "README.md", TREE / "CHANGELOG.md", *(TREE / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(TREE)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_page_to_listen_to_and_the_readmes_pictures_show_the_bundle_that_ships() -> None:
    listen = (TREE / "docs/listen.md").read_text(encoding="utf-8")
    with open_bundle(DEMO_BUNDLE) as bundle:
        assert f"`{bundle.id}`" in listen, "another bundle ships: run make pictures"
    shown = set(re.findall(r"!\[[^]]*\]\(docs/(pictures/[^)]+)\)", README))
    assert shown
    assert shown <= set(re.findall(r"\]\((pictures/[^)]+)\)", listen))
