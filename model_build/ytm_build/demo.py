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
from rich.progress import track

from ytm_build.export import build_bundle
from ytm_bundle.bundle import check_writable
from ytm_bundle.errors import UsageError
from ytm_bundle.files import replacing
from ytm_device.console import command, messages, say
from ytm_training.collect.collection import collect
from ytm_training.collect.files import find_files
from ytm_training.collect.sidecar import find_sidecar
from ytm_training.dataset import Settings
from ytm_training.learn.command import settings
from ytm_training.learn.training import train
from ytm_training.scenes.videos import TABLE_NAME, write_videos
from ytm_training.splitting import SplitRule

SCENES = 300
SCENE_SECONDS = 3.0
SEGMENTS_PER_VIDEO = 12
RATE_HZ = 48000
SEED = 2023
OPEN_RIGHTS = "A"
"""Value of the column `rights_class` for content that is itself open."""
COLUMNS = ("file", "category", "title", "licence", "origin")
SETTINGS = [
    "image_vae.fit.max_epochs=60",
    "sound_vae.fit.max_epochs=40",
    "sound.levelling=0.7",  # how loud a scene is belongs to what it teaches
]


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{table}: cannot be read as CSV ({error})") from error


def add_open_videos(videos: Path, manifest: Path, folder: Path) -> list[dict[str, str]]:
    """Copy the videos whose content is open into `folder`.

    Args:
        videos: where they are.
        manifest: CSV with the columns file, category, description, rights_class, repo,
            content_licence_note.
        folder: where to.

    Returns:
        A row of `COLUMNS` for each.

    Raises:
        UsageError: the manifest cannot be read or lacks a column.
    """
    rows = []
    for row in _rows(manifest):
        try:
            path = videos / Path(row["file"]).name
            if row["rights_class"] != OPEN_RIGHTS or not path.is_file():
                continue
            values = [row[name] for name in ("category", "description", "content_licence_note")]
            rows.append(dict(zip(COLUMNS, [path.name, *values, row["repo"]], strict=True)))
        except KeyError as error:
            raise UsageError(f"{manifest}: has no column {error}") from error
        _copy(path, folder / path.name)
    return rows


def _copy(source: Path, target: Path) -> None:
    if not target.is_file():
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def _write_table(path: Path, rows: list[dict[str, str]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _draw_scenes(folder: Path) -> None:
    if not (folder / TABLE_NAME).is_file():
        drawn = write_videos(folder, SCENES, SEED, SCENE_SECONDS)
        for _ in track(drawn, "drawing scenes", total=SCENES, console=messages):
            pass


def _demo(
    out: Annotated[Path, typer.Option(help="The bundle to write.")],
    work: Annotated[Path, typer.Option(help="Where scenes, dataset and run are kept.")] = Path(
        "build/demo"
    ),
    videos: Annotated[
        Path | None, typer.Option(help="A folder of videos; only open ones are used.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="CSV: file, category, rights_class, licence of each.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change any setting, as with ytm-train: KEY.SUBKEY=VALUE."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads to train with.")] = 2,
) -> None:
    """Make the demo bundle: draw scenes, collect, train, build."""
    if (videos is None) != (manifest is None):
        raise UsageError("--videos and --manifest: give both or neither")
    check_writable(out)
    folder, table, dataset = work / "videos", work / "videos.csv", work / "dataset"
    _draw_scenes(folder)
    rows = _rows(folder / TABLE_NAME)
    if videos is not None and manifest is not None:
        rows += add_open_videos(videos, manifest, folder)
    _write_table(table, rows)
    collected = Settings(SEGMENTS_PER_VIDEO, SEED, RATE_HZ)
    rule, files = SplitRule(seed=SEED), find_files(folder, frozenset())
    say(collect(files, find_sidecar(folder, table), collected, rule, 0, dataset).summary())
    torch.set_num_threads(threads)
    run = train(
        dataset, work / "run", settings("continuous", SEED, None, [*SETTINGS, *(override or [])])
    )
    build_bundle(run, out, "demo", lambda report: say(f"{report.name} done"))
    say(f"{out}: made")


main = command(_demo)

if __name__ == "__main__":
    main()
