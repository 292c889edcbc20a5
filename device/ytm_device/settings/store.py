"""Changing a setting on site: one key in the overlaid file, safe on the disk once it is done."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tomlkit
from pydantic import ValidationError
from tomlkit.exceptions import TOMLKitError

from ytm_bundle.errors import UsageError, YtmError
from ytm_bundle.files import replacing
from ytm_device.settings.explain import MAX_SHOWN, explain, fix
from ytm_device.settings.files import MAX_BYTES, Layer, parse_layer, parse_toml, read_text
from ytm_device.settings.model import MirrorSettings, keys
from ytm_device.settings.source import Value, nested

LOCK_S = 5.0
"""How long to wait for others who change the same file."""
_RETRY_S = 0.02
_MODE = 0o644


def set_key(overlay: Path, key: str, typed: str) -> Value:
    """Give `key` the value `typed` in the file `overlay`; comments and all else in it stay.

    Returns:
        The value. It is durable by then.

    Raises:
        UsageError: there is no such key, it cannot have this value, or the file is wrong already.
        YtmError: the file cannot be written; it is as it was.
    """
    _check_key(key)
    value = _understood(key, typed)
    _change(overlay, key, value)
    return value


def unset_key(overlay: Path, key: str) -> None:
    """Take `key` out of the file `overlay`, so that what lies below it holds again.

    Raises:
        UsageError: there is no such key, or the file is wrong already.
        YtmError: the file cannot be written; it is as it was.
    """
    _check_key(key)
    _change(overlay, key, None)


def _check_key(key: str) -> None:
    if key not in keys():
        raise UsageError(f"{key[:MAX_SHOWN]}: {fix(key)}")


def _understood(key: str, typed: str) -> Value:
    """`typed` as TOML if that can be, else as a text, which nobody quotes for a shell gladly."""
    readings = [*_as_toml(typed), typed]
    errors = []
    for value in readings:
        try:
            MirrorSettings.model_validate(nested({key: value}))
        except ValidationError as error:
            errors.append(error)
        else:
            return value
    raise UsageError(explain(errors[0], lambda key, _: f"{key} {typed[:MAX_SHOWN]}"))


def _as_toml(typed: str) -> list[Value]:
    try:
        read = parse_toml(f"value = {typed}")
    except ValueError:
        return []
    value = read.pop("value")
    return [value] if not read and isinstance(value, Value) else []


def _change(overlay: Path, key: str, value: Value | None) -> None:
    with _alone_in(overlay.parent):
        text = read_text(overlay)
        changed = _edited(text, key, value, overlay)
        if changed != text:
            _write(overlay, changed)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Nobody else changes settings in `folder` meanwhile; those who die let go."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise YtmError(
            f"{folder}: settings cannot be kept there ({error.strerror}); is the data partition"
            " mounted? Else name another folder with --data"
        ) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    deadline_s = time.monotonic() + LOCK_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline_s:
                raise YtmError(
                    f"{folder}: others have been changing settings for {LOCK_S:g} s; try again"
                ) from error
        time.sleep(_RETRY_S)


def _edited(text: str, key: str, value: Value | None, overlay: Path) -> str:
    wanted = _with(parse_layer(text, overlay), key, value)
    try:
        changed = _rewritten(text, key, value)
    except TOMLKitError as error:
        raise UsageError(f"{overlay}: {error}; change {key} in it by hand") from error
    if len(changed.encode()) > MAX_BYTES:
        raise UsageError(f"{overlay}: would be over {MAX_BYTES} bytes; shorten its comments")
    if _full(parse_layer(changed, overlay)) != _full(wanted):
        raise UsageError(f"{overlay}: written in an unusual way; change {key} in it by hand")
    return changed


def _with(layer: Layer, key: str, value: Value | None) -> Layer:
    section, _, name = key.rpartition(".")
    table = dict(layer.get(section, {}) if section else layer)
    table.pop(name, None)
    if value is not None:
        table[name] = value
    return {**layer, section: table} if section else table


def _full(layer: Layer) -> Layer:
    """Without the tables that set nothing."""
    return {name: part for name, part in layer.items() if part != {}}


def _rewritten(text: str, key: str, value: Value | None) -> str:
    document = tomlkit.parse(text)
    section, _, name = key.rpartition(".")
    if section and section not in document:
        document[section] = tomlkit.table()
    table = document[section] if section else document
    if value is not None:
        table[name] = value
    elif name in table:
        del table[name]
    return tomlkit.dumps(document)


def _write(overlay: Path, text: str) -> None:
    try:
        with replacing(overlay) as temporary:
            temporary.write_text(text, encoding="utf-8")
            # For the services, whoever writes: there is nothing secret in it.
            temporary.chmod(_MODE)
    except OSError as error:
        raise YtmError(
            f"{overlay}: cannot be written ({error.strerror}); it is as it was"
        ) from error
