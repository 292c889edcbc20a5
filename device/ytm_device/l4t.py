"""NVIDIA's Linux for Jetson: which release a root file system is."""

from __future__ import annotations

import re

RELEASE_FILE = "etc/nv_tegra_release"
"""Below the root."""
_RELEASE = re.compile(r"^# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)")


def release_in(text: str) -> str | None:
    """The number of a release, such as 36.4.3, from the text of its file; None: it says none."""
    found = _RELEASE.match(text)
    return None if found is None else f"{found[1]}.{found[2]}"
