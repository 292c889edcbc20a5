"""`ytm-build-engine`: a run becomes a bundle, and a bundle becomes engines, here or on a board."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ytm_build.engine.answer import answer
from ytm_build.engine.board import build_there
from ytm_build.engine.build import Outcome, build_engines
from ytm_build.engine.choice import Backend, builder_for, kept_in, places_for
from ytm_build.engine.describe import describe
from ytm_build.engine.show import BuildDisplay, duration, printable
from ytm_build.engine.ssh import Board
from ytm_bundle.bundle import MANIFEST_NAME, open_bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_bundle.errors import UsageError
from ytm_device.bundles import DATA
from ytm_device.console import command, say
from ytm_device.settings.source import SettingsSource

_RUN_MARK = "config.json"
_SHORT = 12

Flag = typer.Option


@dataclass(frozen=True)
class _Wish:
    """How engines are to be made."""

    backend: Backend
    into: Path | None
    force: bool
    board: Board | None


def _build(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN|BUNDLE]",
            help="The folder that ytm-train made, or a bundle; else the bundle of this machine.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        Flag(help="Of a run, the bundle: a folder, or one file if the name ends in .ytm."),
    ] = None,
    name: Annotated[
        str | None, Flag(help="With --out: the bundle's name; else that of --out.")
    ] = None,
    backend: Annotated[Backend, Flag(help="What is to run the engines.")] = Backend.auto,
    into: Annotated[
        Path | None,
        Flag(
            metavar="DIR",
            help="Engines go into DIR/engines; else what lasts on a board, or the bundle's folder.",
        ),
    ] = None,
    force: Annotated[bool, Flag("--force", help="Build engines though they are there.")] = False,
    on: Annotated[
        str | None,
        Flag(metavar="USER@BOARD", help="Build on this board, over SSH, and bring engines here."),
    ] = None,
    ssh_option: Annotated[
        list[str] | None,
        Flag(metavar="NAME=VALUE", help="With --on: an option of ssh; may be repeated."),
    ] = None,
    board_data: Annotated[
        str | None, Flag(metavar="DIR", help="With --on: what lasts there; else /data/ytm.")
    ] = None,
    board_command: Annotated[
        str | None, Flag(metavar="COMMAND", help="With --on: ytm-build-engine there.")
    ] = None,
    describing: Annotated[
        bool, Flag("--describe", help="Say what engines depend on here, and stop.")
    ] = False,
    answering: Annotated[
        bool, Flag("--answer", help="Do what --on asks from a workstation; not for people.")
    ] = False,
    as_json: Annotated[bool, Flag("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Turn a finished run into a bundle, or a bundle into engines for a GPU.

    Everything is compared with what it was made from; a difference over the tolerance is an error,
    and then nothing is published. Interrupted, the same command goes on from what is finished.
    """
    engine_flags = {
        "--backend": backend != Backend.auto,
        "--into": into is not None,
        "--force": force,
        "--on": on is not None,
    }
    board_flags = {
        "--ssh-option": bool(ssh_option),
        "--board-data": board_data is not None,
        "--board-command": board_command is not None,
    }
    if describing:
        others = {"--out": out is not None, str(source): source is not None}
        _refuse(engine_flags | board_flags | others, "not with --describe")
        _describe(as_json)
    elif answering:
        answer(into or DATA)
    elif out is not None:
        _refuse(engine_flags | board_flags, "not with --out, which makes a bundle and no engines")
        _bundle(source, out, name, as_json)
    else:
        _refuse({"--name": name is not None}, "only with --out")
        if on is None:
            _refuse(board_flags, "only with --on")
            board = None
        else:
            board = Board(on, tuple(ssh_option or ()), board_data, board_command)
        _engines(source or _bundle_of_this_machine(), _Wish(backend, into, force, board), as_json)


def _refuse(flags: dict[str, bool], why: str) -> None:
    for flag, typed in flags.items():
        if typed:
            raise UsageError(f"{flag}: {why}; leave it out")


def _describe(as_json: bool) -> None:
    found = describe()
    if as_json:
        print(found.model_dump_json())
        return
    for key in found.keys:
        where = f", L4T {key.l4t}" if key.l4t else ""
        print(f"{key.backend} {key.version}: {key.gpu}, {key.compute_capability}{where}")
    for reason in found.reasons:
        print(reason)


def _bundle(source: Path | None, out: Path, name: str | None, as_json: bool) -> None:
    if source is None:
        raise UsageError("--out: of which run? Give the folder that ytm-train made")
    if source.is_file() or any((source / mark).exists() for mark in (SUMS_NAME, MANIFEST_NAME)):
        raise UsageError(f"{source}: is a bundle already; leave out --out to make engines of it")
    # It brings torch, which a board has not.
    from ytm_build.bundling import bundle_run

    bundle_run(source, out, name, as_json)


def _engines(path: Path, wish: _Wish, as_json: bool) -> None:
    if (path / _RUN_MARK).is_file() and not (path / SUMS_NAME).exists():
        raise UsageError(f"{path}: is a run; give --out BUNDLE to make a bundle of it first")
    began_s = time.monotonic()
    with open_bundle(path) as bundle, BuildDisplay() as display:
        if wish.board is None:
            places, builder = places_for(path, wish.into), builder_for(wish.backend)
            outcome = build_engines(
                bundle, builder, places, display.tell, wish.force, kept_in(places[0])
            )
        else:
            place = places_for(path, wish.into)[0]
            outcome = build_there(bundle, wish.board, place, display, wish.backend, wish.force)
        identity = bundle.id
    _told(path, identity, outcome, time.monotonic() - began_s, as_json)


def _told(path: Path, identity: str, outcome: Outcome, took_s: float, as_json: bool) -> None:
    engines, key = outcome.engines, outcome.engines.key
    if as_json:
        told = {
            "bundle": str(path),
            "id": identity,
            "engines": str(engines.folder),
            "built": outcome.built,
            "key": key.model_dump(),
            "report": engines.report.model_dump(),
        }
        print(json.dumps(told))
    else:
        machine = printable(f"{key.gpu} ({key.backend} {key.version})")
        what = f"engines of bundle {identity[:_SHORT]} for {machine}"
        end = f"in {duration(took_s)}" if outcome.built else "are there; nothing to do"
        say(f"{engines.folder}: {what}, {end}")


def _bundle_of_this_machine() -> Path:
    source = SettingsSource()
    settings, problem = source.read()
    if problem is not None:
        say(problem)
    return source.bundle(settings)


main = command(_build)
