"""`python -m ytm_training.scenes OUT`: draw and sound scenes as videos for ytm-collect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from ytm_device.console import command, messages, say
from ytm_training.scenes.videos import SIZE, write_videos


def run(
    out: Annotated[Path, typer.Argument(help="Folder for the videos and their table.")],
    count: Annotated[int, typer.Option(min=1, max=100000, help="Videos to make.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other scenes.")] = 0,
    seconds: Annotated[float, typer.Option(min=1, max=60, help="Length of each.")] = 4.0,
) -> None:
    """Make videos of moving objects and singing people whose picture determines their sound."""
    quiet = not messages.is_terminal
    videos = write_videos(out, count, seed, seconds, SIZE)
    made = list(track(videos, "drawing", count, console=messages, disable=quiet, transient=True))
    say(f"wrote {len(made)} videos of {seconds:g} s to {out}")


main = command(run)

if __name__ == "__main__":
    main()
