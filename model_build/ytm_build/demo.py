"""The demo bundle: learned from scenes that the project draws and sounds itself, and open videos.

Run by `make demo-bundle`. Every step can be interrupted and goes on when called again.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Annotated

import torch
import typer

from ytm_build.export import build_bundle
from ytm_bundle.errors import UsageError
from ytm_bundle.files import replacing
from ytm_device.console import command, say
from ytm_training.collect.collecting import collect
from ytm_training.learn.command import settings
from ytm_training.learn.run import Run
from ytm_training.learn.training import train
from ytm_training.scenes.videos import write_videos

SCENES = 400
SCENE_SECONDS = 3.0
SEGMENTS_PER_VIDEO = 12
SEED = 2023
RIGHTS_COLUMN, OPEN_RIGHTS = "rights_class", "A"
COLUMNS = ("file", "category", "title", "licence", "origin")

# Narrower than the preset, so that the bundle is small enough to ship inside the package.
NARROWER = [
    "image_vae.fit.max_epochs=220",
    "sound_vae.fit.max_epochs=160",
]


def _open_rows(manifest: Path) -> list[dict[str, str]]:
    """Rows of the videos whose content is open, in the columns of a sidecar."""
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get(RIGHTS_COLUMN) == OPEN_RIGHTS]
    return [
        {
            "file": row["file"],
            "category": row["category"],
            "title": row.get("description") or row["file"],
            "licence": row.get("content_licence_note") or "not stated",
            "origin": row.get("repo") or "not stated",
        }
        for row in rows
    ]


def gather(scenes: Path, videos: Path | None, manifest: Path | None, folder: Path) -> None:
    """Put drawn scenes and open videos side by side in `folder`, with one sidecar.

    Raises:
        UsageError: `videos` without `manifest`, or the manifest is not a CSV with rights.
    """
    with (scenes / "categories.csv").open(newline="", encoding="utf-8") as file:
        rows = [{name: row.get(name, "") for name in COLUMNS} for row in csv.DictReader(file)]
    for row in rows:
        _copy(scenes / row["file"], folder / row["file"])
    if videos is not None:
        if manifest is None or not manifest.is_file():
            raise UsageError("--videos: give --manifest too, a CSV that states each file's rights")
        for row in _open_rows(manifest):
            name = Path(row["file"]).name
            if (videos / name).is_file():
                _copy(videos / name, folder / name)
                rows.append({**row, "file": name})
    with replacing(folder / "categories.csv") as temporary, temporary.open("w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def _copy(source: Path, target: Path) -> None:
    if not target.is_file():
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def _demo(
    out: Annotated[Path, typer.Option(help="The bundle to write.")],
    work: Annotated[Path, typer.Option(help="Where scenes, dataset and run are kept.")] = Path(
        "build/demo"
    ),
    videos: Annotated[
        Path | None, typer.Option(help="A folder of videos; only open ones are used.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="CSV with file, category, rights_class and licence.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads to train with.")] = 2,
) -> None:
    """Make the demo bundle: draw scenes, collect, train, build."""
    scenes = work / "scenes"
    if not (scenes / "categories.csv").is_file():
        say(f"drawing {SCENES} scenes into {scenes}")
        write_videos(scenes, count=SCENES, seed=SEED, seconds=SCENE_SECONDS)
    gather(scenes, videos, manifest, work / "videos")
    collect(work / "videos", work / "dataset", per_video=SEGMENTS_PER_VIDEO, seed=SEED)
    torch.set_num_threads(threads)
    train(work / "dataset", work / "run", settings("continuous", SEED, None, NARROWER))
    build_bundle(Run(work / "run"), out, "demo", lambda report: say(f"{report.name} done"))
    say(f"{out}: made")


main = command(_demo)

if __name__ == "__main__":
    main()
