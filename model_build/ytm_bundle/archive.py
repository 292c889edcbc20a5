"""The `.ytm` file: a bundle's folder as one zip, opened as if a stranger had made it."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ytm_bundle.errors import BundleError

SUFFIX = ".ytm"
MAX_ENTRIES = 1000
MAX_TOTAL_BYTES = 4 << 30
MAX_RATIO = 200
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(folder: Path, archive: Path) -> None:
    """Write every file of `folder` into the zip `archive`, in the same bytes each time."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            file.writestr(info, path.read_bytes())


def unpack(archive: Path, folder: Path) -> None:
    """Unpack `archive` into the empty `folder`, writing nothing outside it.

    Raises:
        BundleError: not a zip, damaged, a name leaves the folder, a link, or far too large.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [info for info in file.infolist() if not info.is_dir()]
            _check(archive, entries)
            for info in entries:
                _extract(archive, file, info, folder)
    except OSError as error:
        raise BundleError(f"{archive}: cannot be unpacked ({error.strerror or error})") from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise BundleError(
            f"{archive}: not a whole {SUFFIX} file ({error}); copy or build it again"
        ) from error


def _check(archive: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise BundleError(f"{archive}: {len(entries)} files, more than the {MAX_ENTRIES} allowed")
    total = sum(info.file_size for info in entries)
    packed = sum(info.compress_size for info in entries)
    if total > MAX_TOTAL_BYTES or total > MAX_RATIO * max(packed, 1 << 10):
        raise BundleError(
            f"{archive}: would unpack to {total} bytes from {packed}; refused as a zip bomb"
        )
    seen = set()
    for info in entries:
        name = PurePosixPath(info.filename)
        unsafe = name.is_absolute() or ".." in name.parts or "\\" in info.filename
        if unsafe or ":" in info.filename or stat.S_ISLNK(info.external_attr >> 16):
            raise BundleError(f"{archive}: holds the unsafe name {info.filename!r}; refused")
        if name in seen:
            raise BundleError(f"{archive}: holds {info.filename!r} twice; refused")
        seen.add(name)


def _extract(archive: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / PurePosixPath(info.filename)
    target.parent.mkdir(parents=True, exist_ok=True)
    left = info.file_size
    with file.open(info) as packed, target.open("xb") as unpacked:
        while piece := packed.read(1 << 20):
            left -= len(piece)
            if left < 0:
                raise BundleError(f"{archive}: {info.filename} is larger than it says; refused")
            unpacked.write(piece)
