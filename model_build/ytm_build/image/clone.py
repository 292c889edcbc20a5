"""What a clone of the project gives to an image: its files, and its lists of packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ytm_build.image.running import run

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CERTIFICATES_INSIDE = "/build/certificates"


def listed_packages(tree: Path, *scopes: str) -> list[str]:
    """The system packages of provisioning/appliance/packages.txt that have one of `scopes`.

    Args:
        tree: the clone.
        scopes: as they stand after the names there; "" are those that have none.
    """
    names = []
    for line in (tree / "provisioning/appliance/packages.txt").read_text().splitlines():
        words = line.split()
        if words and not line.startswith("#") and (words[1:] or [""])[0] in scopes:
            names.append(words[0])
    return names


def copy_clone(tree: Path, target: Path) -> None:
    """Copy the files of the clone `tree` that git knows, as they are, into the folder `target`.

    Raises:
        ImageError: `tree` is no clone.
    """
    listed = run(
        ["git", "-C", str(tree), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        "make images from a clone",
    )
    for name in listed.rstrip("\0").split("\0"):
        if (tree / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree / name, target / name)


def certificates() -> str:
    """The file that says whom this workstation trusts."""
    return os.environ.get("SSL_CERT_FILE") or _CERTIFICATES


def pip_environment() -> dict[str, str]:
    """For pip in another root file system: it trusts whom this workstation does, by its proxy.

    The certificates have to lie there as `CERTIFICATES_INSIDE`.
    """
    ours = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    if "PIP_INDEX_URL" in os.environ:
        ours["PIP_INDEX_URL"] = os.environ["PIP_INDEX_URL"]
    return ours | {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "PIP_CERT": CERTIFICATES_INSIDE,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
