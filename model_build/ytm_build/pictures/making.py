"""All pages of a bundle, made in one go."""

from __future__ import annotations

import re
from pathlib import Path

from ytm_build.pictures.asking import Asked
from ytm_build.pictures.page import Shown, page
from ytm_build.pictures.showing import COLUMNS, Shower
from ytm_build.pictures.unseen import unseen_clips, unseen_scenes
from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import UsageError
from ytm_bundle.files import replacing

PAGE_NAME = "listen.md"
_MADE = re.compile(r"\]\(((?:pictures|sounds)/[\w/-]+\.(?:png|ogg))\)")


def make_pages(bundle: Bundle, out: Path, clips: tuple[Path, Path] | None) -> None:
    """Write `listen.md` into `out`, and the pictures and sounds that it links beside it.

    What an earlier page linked and this one does not is removed: it was made from another bundle.

    Args:
        bundle: what is shown.
        out: a folder, made if need be.
        clips: a folder of videos and its table, of which those that are open and unseen are also
            shown; None: no clips.

    Raises:
        BundleError: the bundle has learned from a scene that is to be shown as unseen.
        UsageError: there are no such clips, or something cannot be read or written.
    """
    scenes = unseen_scenes(bundle)
    chosen = unseen_clips(bundle, *clips, COLUMNS) if clips else []
    try:
        before = _made(out)
        with Asked(bundle) as asked:
            shower = Shower(bundle, asked, out)
            shown = Shown(shower.stills(), shower.scenes(scenes), chosen)
            shower.visit()
            shower.held()
            shower.jumps(scenes)
            if chosen:
                shower.clips(chosen)
        with replacing(out / PAGE_NAME) as temporary:
            temporary.write_text(page(bundle, shown), encoding="utf-8")
        for stale in before - _made(out):
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written to ({error})") from error


def _made(out: Path) -> set[Path]:
    """The files that the page in `out` links."""
    path = out / PAGE_NAME
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return {out / link for link in _MADE.findall(text)}
