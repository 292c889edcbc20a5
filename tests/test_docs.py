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
from ytm_device.control.command import CHANGES, CONCERNED
from ytm_device.settings.explain import allowed, shown
from ytm_device.settings.files import parse_layer
from ytm_device.settings.model import keys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TREE = Path(__file__).resolve().parents[1]
README = (TREE / "README.md").read_text(encoding="utf-8")
COMMANDS_PAGE = (TREE / "docs/commands.md").read_text(encoding="utf-8")
SETTINGS_PAGE = (TREE / "docs/settings.md").read_text(encoding="utf-8")
SCRIPTS = sorted(
    tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
MAKE_TARGET = re.compile(r"`(?:\S+ )*?make ([a-z][a-z-]*)")


def help_text(command: str) -> str:
    script, *verb = command.split()
    result = subprocess.run(
        [Path(sys.executable).with_name(script), *verb, "--help"],
        env={**os.environ, "COLUMNS": "300", "TERMINAL_WIDTH": "300", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def section(command: str) -> str:
    """The part of docs/commands.md under the heading of `command`."""
    found = re.search(
        rf"^## `{command}`\n(.*?)(?=^## |\Z)", COMMANDS_PAGE, re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/commands.md has no heading '## `{command}`'"
    return found[1]


def make_targets() -> set[str]:
    makefile = (TREE / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE)) - {"help"}


@pytest.mark.parametrize("command", [*SCRIPTS, "ytm-mirror ctl"])
def test_every_flag_of_a_command_is_documented_and_no_other(command: str) -> None:
    flags = set(FLAG.findall(help_text(command)))
    assert set(FLAG.findall(section(command))) == flags - {"--help"}


def test_every_verb_of_ctl_is_documented_and_no_other() -> None:
    (verbs,) = re.findall(
        r"^\| verb \|.*?\n\n", section("ytm-mirror ctl"), re.MULTILINE | re.DOTALL
    )
    rows = re.findall(r"^\| (`.*?`) \|", verbs, re.MULTILINE)
    assert set(re.findall(r"`(\w+)[^`]*`", " ".join(rows))) == {*CONCERNED, *CHANGES}


def settings_rows() -> dict[str, tuple[str, str]]:
    """Key -> what it may be and what it is by default, as docs/settings.md says."""
    cells = r"^\| `([\w.]+)` \| (.*?) \| (.*?) \| \S.* \|$"
    rows = re.findall(cells, SETTINGS_PAGE, re.MULTILINE)
    assert len({key for key, _, _ in rows}) == len(rows)
    return {key: (allowed_there, default) for key, allowed_there, default in rows}


def test_every_setting_is_documented_with_range_and_default_and_no_other() -> None:
    documented = {
        key: (allowed(field), "absent" if field.default is None else shown(field.default))
        for key, field in keys().items()
    }
    assert settings_rows() == {
        key: (may_be.replace('or ""', "or nothing"), f"`{default}`".replace("`absent`", "absent"))
        for key, (may_be, default) in documented.items()
    }


def test_the_settings_as_the_page_shows_them_can_be_read() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", SETTINGS_PAGE, re.DOTALL)
    assert parse_layer(example, TREE / "docs/settings.md")


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
