"""The image that is started, and the key of its door: `make test-image` leaves both."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from appliance import virtual

IMAGE = Path(os.environ.get("YTM_IMAGE", ""))
KEY = Path(os.environ.get("YTM_IMAGE_KEY", ""))


def why_no_image() -> str | None:
    """Why no image is started; None where one is named, with its key."""
    if {"YTM_IMAGE", "YTM_IMAGE_KEY"} <= os.environ.keys():
        return None
    return "needs an image and its key in YTM_IMAGE and YTM_IMAGE_KEY; see make test-appliance"


def skipped_for(why: str | None) -> pytest.MarkDecorator:
    """The mark of tests that are not run, for a reason; None: they are."""
    return pytest.mark.skipif(why is not None, reason=str(why))


NEEDS_IMAGE = skipped_for(why_no_image())
NEEDS_VIRTUAL = [skipped_for(virtual.why_not()), NEEDS_IMAGE]
"""Marks of tests that start the image in a virtual machine."""


def raw_copy(folder: Path) -> Path:
    """A copy of the image that may be changed, with its holes."""
    copy = folder / "image.raw"
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(IMAGE), str(copy)], check=True)
    return copy
