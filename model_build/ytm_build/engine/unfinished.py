"""Graphs that are finished while others are not: what an interrupted build goes on from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from ytm_bundle.checksums import digest_file
from ytm_bundle.engines import (
    ENGINE_SUFFIX,
    MAX_JSON_BYTES,
    UNFINISHED_PREFIX,
    EngineKey,
    GraphReport,
    Sha256,
)
from ytm_bundle.files import replacing
from ytm_bundle.manifest import Spec


class _Kept(Spec):
    """Beside a finished engine."""

    report: GraphReport
    sha256: Sha256


class Unfinished:
    """The folder of them, for one key. Its owner is alone in `place`."""

    def __init__(self, place: Path, key: EngineKey) -> None:
        """Of engines for `key` in `place`; what builds for other keys left there goes."""
        self._folder = place / f"{UNFINISHED_PREFIX}{key.folder}"
        for left in place.glob(f"{UNFINISHED_PREFIX}*"):
            if left != self._folder:
                shutil.rmtree(left, ignore_errors=True)

    def path(self, name: str) -> Path:
        """The engine of a graph."""
        return self._folder / f"{name}{ENGINE_SUFFIX}"

    def kept(self, name: str) -> GraphReport | None:
        """What was found when that graph was built; None if it is not there, or not whole."""
        try:
            with self._note(name).open("rb") as file:
                kept = _Kept.model_validate_json(file.read(MAX_JSON_BYTES))
            whole = digest_file(self.path(name)) == kept.sha256
        except (OSError, ValidationError):
            return None
        return kept.report if whole and kept.report.name == name else None

    def keep(self, name: str, engine: bytes, examine: Callable[[Path], GraphReport]) -> GraphReport:
        """Keep an engine if `examine`, which is given its path, does not raise."""
        with replacing(self.path(name)) as temporary:
            temporary.write_bytes(engine)
            kept = _Kept(report=examine(temporary), sha256=digest_file(temporary))
        with replacing(self._note(name)) as temporary:
            temporary.write_text(kept.model_dump_json(), encoding="utf-8")
        return kept.report

    def remove(self) -> None:
        """They are all in use, or none is wanted."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _note(self, name: str) -> Path:
        return self._folder / f"{name}.json"
