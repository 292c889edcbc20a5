"""Pinned Python packages: which of them another machine needs, and which it has to build itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ytm_build.image.l4t import Generation
from ytm_bundle.errors import ImageError

BUILT = frozenset({"pygobject", "pycairo", "pycuda"})
"""Those that have no wheel for aarch64: they are built where they are to run."""
OLDEST_GLIBC_MINOR = 17


@dataclass(frozen=True)
class Pin:
    """One package, with its version and digests."""

    name: str
    line: str
    """As pip reads it."""


def pins(text: str, python: str) -> list[Pin]:
    """The packages of a file of requirements that CPython on Linux on aarch64 needs.

    pip would ask its own Python whether a marker holds, not the one that the packages are for.

    Args:
        text: the file: exact versions, each with digests.
        python: such as 3.10.

    Raises:
        ImageError: a line cannot be read, or names no exact version or no digest.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        line = line.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        words = line.split(" --hash=")
        try:
            requirement = Requirement(words[0].strip())
        except InvalidRequirement as error:
            raise ImageError(f"requirements: cannot read {words[0].strip()!r} ({error})") from error
        if not str(requirement.specifier).startswith("==") or len(words) == 1:
            raise ImageError(f"requirements: {requirement.name} has no exact version with digests")
        if requirement.marker is None or requirement.marker.evaluate(_machine(python)):
            digests = " ".join(f"--hash={word.strip()}" for word in words[1:])
            name = canonicalize_name(requirement.name)
            found.append(Pin(name, f"{requirement.name}{requirement.specifier} {digests}"))
    return found


def download_words(requirements: Path, into: Path, generation: Generation) -> list[str]:
    """What pip is told to fetch wheels for a Jetson, each checked against its digests."""
    version = generation.python.replace(".", "")
    platforms = [
        f"--platform=manylinux_2_{minor}_aarch64"
        for minor in range(OLDEST_GLIBC_MINOR, generation.glibc_minor + 1)
    ]
    abis = [f"--abi={abi}" for abi in (f"cp{version}", "abi3", "none")]
    return [
        *("download", "--no-deps", "--require-hashes", "--only-binary=:all:"),
        *("--implementation=cp", f"--python-version={version}", *abis, *platforms),
        *(f"--dest={into}", f"--requirement={requirements}"),
    ]


def _machine(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "aarch64",
        "os_name": "posix",
        "extra": "",
    }
