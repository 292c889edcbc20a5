"""`ytm-image`: an image to be flashed, for a board or a mini PC."""

from __future__ import annotations

import json
import subprocess
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ytm_build.image.debian import Request, make_image
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import UsageError
from ytm_device.console import command, say

TREE = Path(__file__).resolve().parents[3]


class Target(str, Enum):
    """What the image is for."""

    debian_amd64 = "debian-amd64"


def _image(
    target: Annotated[Target, typer.Option(help="A mini PC with Debian.")],
    out: Annotated[
        Path, typer.Option(help="The disk image, to be written to the medium as it is.")
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
    as_json: Annotated[bool, typer.Option("--json", help="Say as JSON what was made.")] = False,
) -> None:
    """Make an image that boots straight into the mirror, for months with nobody near.

    Flash it with `dd`, or with any tool that writes images; put it in, and plug the board in. As
    root, from a clone; Debian's packages and Python's are downloaded once and kept in --work.
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
    request = Request(TREE, work.absolute(), bundle, ssh_key, console, _epoch())
    make_image(request, out, say)
    if as_json:
        print(json.dumps({"image": str(out), "target": target.value, "bytes": out.stat().st_size}))
    else:
        say(f"{out}: made; write it to the medium, for example with dd bs=4M conv=fsync")


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
