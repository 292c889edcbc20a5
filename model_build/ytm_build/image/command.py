"""`ytm-image`: an image to be flashed, for a board or a mini PC."""

from __future__ import annotations

import json
import subprocess
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ytm_build.image import debian, flashing, jetson
from ytm_build.image.bsp import licence, open_bsp
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import UsageError
from ytm_device.console import command, say

TREE = Path(__file__).resolve().parents[3]
BOARD = "jetson-orin-nano-devkit"


class Target(str, Enum):
    """What the image is for."""

    debian_amd64 = "debian-amd64"
    jetson = "jetson"


def _image(
    target: Annotated[Target, typer.Option(help="A mini PC with Debian, or NVIDIA's Jetson.")],
    out: Annotated[
        Path,
        typer.Option(
            help="The disk image, to be written to the medium as it is; for a Jetson a folder,"
            " from which NVIDIA's tools flash."
        ),
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="The bundle it plays; the demo bundle unless given.")
    ] = None,
    ssh_key: Annotated[
        Path | None, typer.Option(help="Public keys of those who may come in by SSH.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Where steps are kept: the next image takes less time.")
    ] = Path("build/image"),
    console: Annotated[
        str | None,
        typer.Option(help="Where the kernel speaks, such as ttyS0; nowhere unless given."),
    ] = None,
    bsp: Annotated[
        Path | None,
        typer.Option(help="Jetson: NVIDIA's Linux_for_Tegra, apply_binaries.sh applied."),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept-nvidia-licence", help="Jetson: you accept the licence of the BSP."),
    ] = False,
    board: Annotated[
        str | None, typer.Option(help=f"Jetson: NVIDIA's name of the board; {BOARD} unless given.")
    ] = None,
    power_mode: Annotated[
        str | None, typer.Option(help="Jetson: by name, such as MAXN; NVIDIA's unless given.")
    ] = None,
    sd_image: Annotated[
        Path | None, typer.Option(help="Jetson: make an image for an SD card as well, here.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Jetson: say each step, and do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say as JSON what was made.")] = False,
) -> None:
    """Make an image that boots straight into the mirror, for months with nobody near.

    Flash it with `dd`, or with any tool that writes images; put it in, and plug the board in. As
    root, from a clone; system packages and Python's are downloaded once and kept in --work.
    """
    if not (TREE / "provisioning/install.sh").is_file():
        raise UsageError("ytm-image works from a clone of the project, not from a wheel")
    if ssh_key is not None and not ssh_key.is_file():
        raise UsageError(f"--ssh-key: {ssh_key} is no file; give the .pub file of a key")
    if bundle is not None:
        with open_bundle(bundle):
            pass
        if not bundle.is_dir():
            raise UsageError(f"--bundle: {bundle} is packed; unpack it into a folder first")
    if target is Target.jetson:
        request = jetson.Request(
            clone=TREE,
            work=work.absolute(),
            bsp=open_bsp(_accepted(bsp, accept)),
            out=out.absolute(),
            board=board or BOARD,
            bundle=bundle,
            ssh_key=ssh_key,
            console=console,
            power_mode=power_mode,
            sd_image=sd_image,
        )
        _jetson(request, dry_run, as_json)
        return
    for flag, value in {
        "--bsp": bsp,
        "--accept-nvidia-licence": accept,
        "--board": board,
        "--power-mode": power_mode,
        "--sd-image": sd_image,
        "--dry-run": dry_run,
    }.items():
        if value:
            raise UsageError(f"{flag}: only for --target jetson")
    _debian(debian.Request(TREE, work.absolute(), bundle, ssh_key, console, _epoch()), out, as_json)


def _debian(request: debian.Request, out: Path, as_json: bool) -> None:
    """Make a disk image for a mini PC."""
    debian.make_image(request, out, say)
    if as_json:
        about = {"image": str(out), "target": Target.debian_amd64.value}
        print(json.dumps({**about, "bytes": out.stat().st_size}))
    else:
        say(f"{out}: made; write it to the medium, for example with dd bs=4M conv=fsync")


def _accepted(bsp: Path | None, accept: bool) -> Path:
    """The BSP, whose licence was accepted."""
    if bsp is None:
        raise UsageError("--target jetson needs --bsp: NVIDIA's Linux_for_Tegra, unpacked")
    if not accept:
        raise UsageError(
            f"NVIDIA's software is NVIDIA's: read {licence(bsp)}, and add --accept-nvidia-licence"
            " if you accept it"
        )
    return bsp.absolute()


def _jetson(request: jetson.Request, dry_run: bool, as_json: bool) -> None:
    """Make a Jetson's tree, or say how."""
    jetson.check(request)
    say(f"L4T {request.bsp.release}, JetPack {request.bsp.known.jetpack}")
    if request.bsp.known.remark:
        say(f"note: {request.bsp.known.remark} ({request.bsp.known.source})")
    if dry_run:
        jetson.show_tree(request, say)
        return
    jetson.make_tree(request, say)
    ways = flashing.ways(request.bsp, request.board)
    if as_json:
        about = {"tree": str(request.out), "target": "jetson", "l4t": request.bsp.release}
        print(json.dumps({**about, "board": request.board, "flash": ways}))
        return
    say(f"{request.out}: made; no such tree has met a board yet. In that folder, flash it with")
    for medium, line in ways.items():
        say(f"  {medium}: {line}")


def _epoch() -> int:
    """When the newest commit was made."""
    done = subprocess.run(
        ["git", "-C", str(TREE), "log", "-1", "--format=%ct"],
        capture_output=True,
        text=True,
        check=False,
    )
    return int(done.stdout) if done.returncode == 0 else 0


main = command(_image)
