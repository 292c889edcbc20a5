"""The workstation's end of `--on`: engines are built on a board and brought here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ytm_build.engine import wire
from ytm_build.engine.alone import wait_until_free
from ytm_build.engine.build import Outcome, explained
from ytm_build.engine.choice import Backend
from ytm_build.engine.events import Said
from ytm_build.engine.partial import Arriving, pieces, spec_of
from ytm_build.engine.show import BuildDisplay, printable
from ytm_build.engine.ssh import Board, Connection
from ytm_bundle.bundle import Bundle
from ytm_bundle.checksums import SUMS_NAME, listed_files
from ytm_bundle.engines import (
    ENGINE_SUFFIX,
    REPORT_NAME,
    EngineFolder,
    EngineKey,
    find_engines,
    graph_digests,
    writing_engines,
)
from ytm_bundle.errors import EngineError
from ytm_bundle.manifest import Spec

_PREFIX = ".arriving-"


def build_there(
    bundle: Bundle, board: Board, place: Path, display: BuildDisplay, backend: Backend, force: bool
) -> Outcome:
    """Make the engines of `bundle` on `board`, and bring them into `place`.

    Whenever it is cut, the same call goes on: from the byte that arrived last, and the graph that
    was finished last. The board's engines stand until those that follow them are finished there.

    Args:
        bundle: opened and verified.
        board: where they are built.
        place: where they go here.
        display: shows what happens.
        backend: what is to run them there.
        force: build them though they are there.

    Raises:
        EngineError: the connection fails, the board cannot build them, or does not speak as agreed.
        BundleError: `place` cannot be written.
    """
    with Connection(board) as connection:
        try:
            return _Task(bundle, connection, place, display).done(backend, force)
        except wire.WireError as error:
            said = connection.last_words()
            raise EngineError(
                f"{board.address}: {printable(str(error))}{f' ({said})' if said else ''}; when the"
                " board can be reached, the same command goes on"
            ) from error
        except _RefusedError as error:
            raise EngineError(f"{board.address}: {printable(str(error))}") from error


class _RefusedError(EngineError):
    """The board said that it cannot."""


class _Task:
    """One conversation."""

    def __init__(
        self, bundle: Bundle, connection: Connection, place: Path, display: BuildDisplay
    ) -> None:
        self._bundle, self._pipe = bundle, connection.pipe
        self._place, self._display = place, display

    def done(self, backend: Backend, force: bool) -> Outcome:
        graphs = graph_digests(self._bundle)
        key = self._prepared(wire.Wish(graphs=graphs, backend=backend, force=force))
        wait_until_free(self._place, self._display.tell)
        if not force and (found := self._found(key)):
            return Outcome(found, built=False)
        self._send()
        built = self._ask(wire.Build(), wire.BuiltThere)
        with explained(self._place):
            self._bring(key, built)
        engines = self._found(key)
        if engines is None:
            raise EngineError(f"{self._place / key.folder}: was written and is not sound")
        return Outcome(engines, built=True)

    def _prepared(self, wish: wire.Wish) -> EngineKey:
        prepared = self._ask(wish, wire.Prepared)
        if prepared.version != wire.VERSION or prepared.key.graphs != wish.graphs:
            raise wire.WireError("it speaks of other engines than were asked for")
        return prepared.key

    def _found(self, key: EngineKey) -> EngineFolder | None:
        problems: list[str] = []
        found = find_engines([self._place], key, problems)
        for problem in problems:
            self._display.tell(Said(text=problem))
        return found

    def _send(self) -> None:
        """Send what the board lacks of the bundle."""
        folder = self._bundle.folder
        names = (*listed_files(folder), SUMS_NAME)
        files = {name: spec_of(folder, name) for name in names}
        offer = wire.Offer(id=self._bundle.id, files=tuple(files.values()))
        wants = self._ask(offer, wire.Wants).files
        total = sum(_rest(files, want) for want in wants)
        sent = 0
        for want in wants:
            size = _rest(files, want)
            self._pipe.send(wire.File(name=want.name, offset=want.offset, size=size))
            for piece in pieces(folder / want.name, want.offset, size):
                self._pipe.send_bytes(piece)
                sent += len(piece)
                self._display.moved("sending the bundle", sent, total)
            if self._told(wire.Taken).name != want.name:
                raise wire.WireError(f"it did not take {want.name}")

    def _bring(self, key: EngineKey, built: wire.BuiltThere) -> None:
        """Fetch the engines, beside those that are here, and put them in their place."""
        expected = {*(f"{name}{ENGINE_SUFFIX}" for name in key.graphs), REPORT_NAME}
        if {file.name for file in built.files} != expected or len(built.files) != len(expected):
            raise wire.WireError("it offers other files than were asked for")
        total, here = sum(file.size for file in built.files), 0

        def moved(size: int) -> None:
            nonlocal here
            here += size
            self._display.moved("fetching the engines", here, total)

        with writing_engines(self._place, key) as folder:
            arriving = self._arriving(key)
            for file in built.files:
                offset = arriving.offset(file)
                moved(file.size if offset is None else offset)
                if offset is not None:
                    self._pipe.send(
                        wire.Fetch(name=file.name, offset=offset, size=file.size - offset)
                    )
                    arriving.take(file, offset, self._pipe, moved)
                shutil.copyfile(arriving.folder / file.name, folder / file.name)
        shutil.rmtree(arriving.folder, ignore_errors=True)

    def _arriving(self, key: EngineKey) -> Arriving:
        folder = self._place / f"{_PREFIX}{key.folder}"
        for other in self._place.glob(f"{_PREFIX}*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        return Arriving(folder)

    def _ask(self, message: Spec, kind: type[wire.Told]) -> wire.Told:
        self._pipe.send(message)
        return self._told(kind)

    def _told(self, kind: type[wire.Told]) -> wire.Told:
        """The board's answer; what it says meanwhile is shown."""
        while True:
            message = wire.understood(self._pipe.line(), wire.TELLS)
            if isinstance(message, kind):
                return message
            if isinstance(message, wire.Failed):
                raise _RefusedError(message.text)
            if isinstance(message, wire.Event):
                self._display.tell(message.event)
            elif not isinstance(message, wire.Alive):
                raise wire.WireError(f"it says {message.tell} out of turn")


def _rest(files: Mapping[str, wire.FileSpec], want: wire.Want) -> int:
    """How much of a file the board lacks."""
    file = files.get(want.name)
    if file is None or want.offset > file.size:
        raise wire.WireError("it wants what was not offered")
    return file.size - want.offset
