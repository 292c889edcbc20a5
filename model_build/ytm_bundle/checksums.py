"""SHA256SUMS: what a bundle holds, and the bundle's identity.

The lines are those of `sha256sum`, so a technician can check a bundle with `sha256sum -c`; the last
line, `# sha256 DIGEST`, is the digest of the lines above it and names the bundle.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ytm_bundle.errors import BundleError

SUMS_NAME = "SHA256SUMS"
ENGINES_FOLDER = "engines"
MAX_SUMS_BYTES = 1 << 20
_LINE = re.compile(r"^([0-9a-f]{64})  ([^/\\\s][^\\\n]*)$")
_LAST = re.compile(r"^# sha256 ([0-9a-f]{64})$")


def digest_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def listed_files(folder: Path) -> list[str]:
    """Names, relative to `folder`, of the files that SHA256SUMS covers, sorted."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return sorted(
        name.as_posix()
        for name in names
        if name.as_posix() != SUMS_NAME and name.parts[0] != ENGINES_FOLDER
    )


def write_sums(folder: Path) -> str:
    """Write SHA256SUMS over every file in `folder`; return the bundle's id."""
    lines = "".join(f"{digest_file(folder / name)}  {name}\n" for name in listed_files(folder))
    identity = hashlib.sha256(lines.encode()).hexdigest()
    (folder / SUMS_NAME).write_text(f"{lines}# sha256 {identity}\n", encoding="utf-8")
    return identity


def check_sums(folder: Path) -> str:
    """Check every file in `folder` against its SHA256SUMS; return the bundle's id.

    Raises:
        BundleError: the list is missing or damaged, or a file is missing, altered or unlisted.
    """
    expected, identity = _read_sums(folder / SUMS_NAME)
    present = set(listed_files(folder))
    for name in sorted(present - expected.keys()):
        raise BundleError(f"{folder / name}: not listed in {SUMS_NAME}; remove it or build again")
    for name, digest in expected.items():
        path = folder / name
        if name not in present or path.is_symlink():
            raise BundleError(f"{path}: missing from the bundle; copy or build the bundle again")
        try:
            found = digest_file(path)
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
        if found != digest:
            raise BundleError(
                f"{path}: damaged (sha256 {found[:12]}..., expected {digest[:12]}...);"
                " copy or build the bundle again"
            )
    return identity


def _read_sums(path: Path) -> tuple[dict[str, str], str]:
    try:
        if path.stat().st_size > MAX_SUMS_BYTES:
            raise BundleError(f"{path}: larger than {MAX_SUMS_BYTES} bytes; not a list of digests")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be read ({error.strerror}); is {path.parent} a bundle?"
        ) from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: not text; copy or build the bundle again") from error
    *lines, last = text.splitlines() or [""]
    stated = _LAST.match(last)
    body = "".join(f"{line}\n" for line in lines)
    if not stated or hashlib.sha256(body.encode()).hexdigest() != stated.group(1):
        raise BundleError(f"{path}: damaged or cut short; copy or build the bundle again")
    expected = {}
    for line in lines:
        match = _LINE.match(line)
        if not match or ".." in Path(match.group(2)).parts:
            raise BundleError(f"{path}: line {line[:80]!r} is not `DIGEST  NAME`")
        expected[match.group(2)] = match.group(1)
    return expected, stated.group(1)
