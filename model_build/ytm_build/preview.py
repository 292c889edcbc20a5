"""`ytm-preview`: what visitors would see and hear if a video were the camera's picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ytm_build.mirroring import Figures, mirror_video
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import UsageError
from ytm_device.bundles import default_bundle
from ytm_device.console import command, say


def _preview(
    video: Annotated[Path, typer.Argument(help="A video, as if a camera had taken it.")],
    out: Annotated[Path, typer.Option(help="The MP4 to write: 1080x1920, 30 pictures a second.")],
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle; else the installed one, else the demo.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    inset: Annotated[
        bool, typer.Option("--inset", help="Show the camera's picture in a corner.")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Also write a contact sheet: frames above answers (PNG).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show, offline, what visitors would see and hear: one video in, the mirror's answer out.

    The same video and bundle give the same pictures and samples each time.
    """
    if seconds is not None and not seconds > 0:
        raise UsageError(f"--seconds {seconds}: must be greater than 0")
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"--sheet {sheet}: give a name that ends in .png")
    with open_bundle(bundle or default_bundle()) as opened:
        figures = mirror_video(video, out, opened, seconds, inset, sheet)
    if as_json:
        print(json.dumps({"out": str(out), **figures.as_json()}))
    else:
        say(f"{out}: {_told(figures)}")


def _told(figures: Figures) -> str:
    return (
        f"{figures.length_s:.1f} s; mirroring took {figures.own_s:.1f} s,"
        f" {figures.length_s / figures.own_s:.1f} times faster than real time;"
        f" encoding the video {figures.encoding_s:.1f} s besides"
    )


main = command(_preview)
