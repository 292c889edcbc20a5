"""NVIDIA's releases of Linux for Jetson (L4T): which of them may carry the mirror, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ytm_bundle.errors import ImageError
from ytm_device.l4t import RELEASE_FILE, release_in

_ARCHIVE = "https://developer.nvidia.com/embedded/jetpack-archive"


@dataclass(frozen=True)
class Known:
    """What is known of a release."""

    jetpack: str
    refused: str = ""
    """Why it is not taken; empty where it is."""
    remark: str = ""
    """What whoever takes it should know."""
    source: str = _ARCHIVE


@dataclass(frozen=True)
class Generation:
    """What the releases of one number have in common."""

    python: str
    glibc_minor: int
    """Of the C library 2.x: wheels for it and older ones run."""
    cuda: str
    """As it stands in the names of NVIDIA's packages."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """What packages are called there that have another name in our list."""


# Ubuntu 24.04 names libraries anew whose times have 64 bits.
_TIMES = {"libasound2": "libasound2t64"}
GENERATIONS = {
    36: Generation("3.10", 35, "12-6"),
    38: Generation("3.12", 39, "13-0", _TIMES),
    39: Generation("3.12", 39, "13-2", _TIMES),
}
_OLD_TENSORRT = "its TensorRT is 8.6, and engines need 10.3 or newer"
KNOWN: Mapping[str, Known] = {
    "36.2.0": Known("6.0 DP", refused=f"it is a preview; {_OLD_TENSORRT}"),
    "36.3.0": Known("6.0", refused=_OLD_TENSORRT),
    "36.4.0": Known("6.1"),
    "36.4.3": Known("6.2"),
    "36.4.4": Known("6.2.1"),
    "36.4.7": Known(
        "6.2.1",
        refused="it refuses CUDA memory that is there (NvMapMemAllocInternalTagged, error 12)",
        source="https://github.com/ggml-org/llama.cpp/pull/23732",
    ),
    "36.5.0": Known(
        "6.2.2",
        remark="a board that came to it by apt had a GPU that stayed at 624 MHz: flash it",
        source="https://forums.developer.nvidia.com/t/365705",
    ),
    "36.5.2": Known("6.2.3", source="https://github.com/dusty-nv/jetson-containers/pull/1741"),
    "38.2.0": Known("7.0", remark="for Thor alone"),
    "38.2.1": Known("7.0", remark="for Thor alone"),
    "38.2.2": Known("7.0", remark="for Thor alone"),
    "38.4.0": Known(
        "7.1",
        remark="for Thor alone",
        source="https://docs.nvidia.com/jetson/archives/r38.4/DeveloperGuide/IN/QuickStart.html",
    ),
    "39.2.0": Known(
        "7.2",
        remark="on Orin Nano the GPU may stay at 624 MHz; 39.2.1 is said to mend it",
        source="https://forums.developer.nvidia.com/t/377003",
    ),
    "39.2.1": Known("7.2.1"),
    "39.2.2": Known("7.2.2"),
}


def release_of(text: str) -> str:
    """The number of a release, such as 36.4.3, from the text of /etc/nv_tegra_release.

    Raises:
        ImageError: it says none.
    """
    found = release_in(text)
    if found is None:
        first = (text.splitlines() or [""])[0][:80]
        raise ImageError(f"/{RELEASE_FILE}: says no release ({first!r}); unpack NVIDIA's BSP again")
    # NVIDIA names the first of a series with one number less.
    return found if found.count(".") > 1 else f"{found}.0"


def known(release: str) -> Known:
    """What is known of a release that may carry the mirror.

    Raises:
        ImageError: nobody knows it here, or it is known to be bad.
    """
    good = ", ".join(number for number, each in KNOWN.items() if not each.refused)
    found = KNOWN.get(release)
    if found is None:
        raise ImageError(f"L4T {release}: nobody has looked at it; take one of {good}")
    if found.refused:
        raise ImageError(f"L4T {release}: {found.refused} ({found.source}); take one of {good}")
    return found


def generation(release: str) -> Generation:
    """What `release`, a known one, has in common with its neighbours."""
    return GENERATIONS[int(release.split(".")[0])]
