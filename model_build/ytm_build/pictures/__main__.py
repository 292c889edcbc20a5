"""`python -m ytm_build.pictures`: the pictures of the documentation, and the page to listen to.

Run by `make pictures`, again after each new demo bundle. The same bundle gives the same files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ytm_build.pictures.making import make_pages
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import UsageError
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.console import command, say


def _pictures(
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("docs"),
    bundle: Annotated[Path, typer.Option(help="A bundle; else the demo bundle.")] = DEMO_BUNDLE,
    videos: Annotated[
        Path | None, typer.Option(help="A folder of clips; only open and unseen ones are shown.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="CSV: file, category, rights_class, licence of each.")
    ] = None,
) -> None:
    """Show what a bundle answers: contact sheets, sounds, and a page that links them."""
    if (videos is None) != (manifest is None):
        raise UsageError("--videos and --manifest: give both or neither")
    clips = None if videos is None or manifest is None else (videos, manifest)
    with open_bundle(bundle) as opened:
        make_pages(opened, out, clips)
        say(f"{out / 'listen.md'}: made from {opened.manifest.name} {opened.id[:12]}")


main = command(_pictures)

if __name__ == "__main__":
    main()
