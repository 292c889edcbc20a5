"""`ytm-mirror ctl`: asking and telling the services of one mirror, and changing its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ytm_bundle.errors import UsageError
from ytm_device.bundles import DATA
from ytm_device.console import command, say
from ytm_device.control.client import Answer, ask_all
from ytm_device.options import REFLECT, SERVICES, SOUND
from ytm_device.run_dirs import SYSTEM, shared_run_dir
from ytm_device.settings.explain import shown
from ytm_device.settings.source import SettingsSource
from ytm_device.settings.store import set_key, unset_key

CONCERNED = {
    "status": SERVICES,
    "mute": (SOUND,),
    "unmute": (SOUND,),
    "replay": (REFLECT,),
    "mirror": (REFLECT,),
    "reload": SERVICES,
}
"""Verb -> the services that are asked. What the show follows is what reflect says of presence."""
SET, UNSET = CHANGES = ("set", "unset")
EXIT_NOT_ALL = 1


def _ctl(
    verb: Annotated[
        str,
        typer.Argument(
            metavar="status|mute|unmute|replay|mirror|reload|set|unset",
            help="status: how each service is. mute, unmute: the sound. replay: show the replay"
            " whoever is there, until mirror. reload: read the settings again. set KEY VALUE, unset"
            " KEY: change a setting for good.",
        ),
    ],
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="As in the file: sound.volume_db.")
    ] = None,
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]", help="As in the file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
    run_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the services meet.")
    ] = None,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Where set keeps its mirror.toml.")
    ] = DATA,
) -> None:
    """Ask or tell the services that run; exit with 0 if all of them did as they were told."""
    _check(verb, key, value)
    report: dict[str, Any] = {}
    if verb in CHANGES:
        report = _change(str(key), value, SettingsSource(data=data).overlay)
        verb = "reload"
    answers = ask_all(_run_dir(run_dir), CONCERNED[verb], verb)
    if as_json:
        told = {service: answer.as_json() for service, answer in answers.items()}
        typer.echo(json.dumps({**report, **told}))
    else:
        _print(verb, answers)
    if not all(answer.ok or (report and not answer.running) for answer in answers.values()):
        raise typer.Exit(EXIT_NOT_ALL)


def _check(verb: str, key: str | None, value: str | None) -> None:
    if verb not in (*CONCERNED, *CHANGES):
        raise UsageError(f"{verb}: no such verb; give {', '.join((*CONCERNED, *CHANGES))}")
    wanted = {SET: ("KEY", "VALUE"), UNSET: ("KEY",)}.get(verb, ())
    given = [word for word in (key, value) if word is not None]
    if len(given) != len(wanted):
        raise UsageError(
            f"{verb}: takes {' and '.join(wanted) or 'nothing more'}, as {_example(verb)}"
        )


def _example(verb: str) -> str:
    examples = {SET: " sound.volume_db -3", UNSET: " sound.volume_db"}
    return f"`ytm-mirror ctl {verb}{examples.get(verb, '')}`"


def _change(key: str, typed: str | None, overlay: Path) -> dict[str, Any]:
    if typed is None:
        unset_key(overlay, key)
        say(f"{key} is no longer set in {overlay}")
        return {"key": key, "file": str(overlay)}
    value = set_key(overlay, key, typed)
    say(f"{key} = {shown(value)}, kept in {overlay}")
    return {"key": key, "value": value, "file": str(overlay)}


def _run_dir(wanted: Path | None) -> Path:
    # Who may not write there may still be in the group that asks.
    return wanted or (SYSTEM if SYSTEM.is_dir() else shared_run_dir(None))


def _print(verb: str, answers: Mapping[str, Answer]) -> None:
    if verb == "status":
        table = Table("service", "answer", "mode", "problem")
        for service, answer in answers.items():
            table.add_row(service, *_cells(answer))
        Console(highlight=False).print(table, markup=False)
        return
    for service, answer in answers.items():
        problem = answer.fields.get("settings_problem")
        but = f", but {problem}" if problem else ""
        say(f"{service}: {'done' if answer.ok else answer.error}{but}")


def _cells(answer: Answer) -> tuple[str, str, str]:
    problems = [
        str(answer.fields[name])
        for name in ("problem", "settings_problem", "bundle_problem", "control_problem")
        if answer.fields.get(name)
    ]
    said = "ok" if answer.ok else answer.error
    return said, str(answer.fields.get("mode") or "-"), "; ".join(problems) or "-"


# A value may begin with a minus, as -3 dB does.
main = command(_ctl, ignore_unknown_options=True)
