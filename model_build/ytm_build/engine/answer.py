"""The board's end of `--on`: takes a bundle, makes its engines, and gives them back."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from ytm_build.engine import wire
from ytm_build.engine.build import Outcome, build_engines
from ytm_build.engine.choice import KEPT, builder_for
from ytm_build.engine.events import MAX_SAID, Event, Said
from ytm_build.engine.partial import Arriving, pieces, spec_of
from ytm_bundle.bundle import open_bundle
from ytm_bundle.checksums import ENGINES_FOLDER, check_sums
from ytm_bundle.engines import ENGINE_SUFFIX, REPORT_NAME, EngineFolder, engine_places, find_engines
from ytm_bundle.errors import BundleError, EngineError, YtmError
from ytm_bundle.manifest import Spec
from ytm_device.bundles import DEMO_BUNDLE, default_bundle

IDLE_S = 600.0
"""A workstation that asks nothing for so long has gone."""
_INCOMING = "incoming"
_ALIVE_EVERY_S = 1.0
_NICENESS = 10
"""The mirror goes before."""
_IN, _OUT, _ERRORS = 0, 1, 2


def answer(data: Path) -> None:
    """Answer what comes on standard input, on standard output, until that ends.

    Args:
        data: what lasts on this board.
    """
    os.nice(_NICENESS)
    outgoing = os.dup(_OUT)
    # Whatever a library prints must not come between.
    os.dup2(_ERRORS, _OUT)
    pipe = wire.Pipe(_IN, outgoing, IDLE_S)
    try:
        _Session(pipe, data).run()
    except wire.WireError:
        return
    except YtmError as error:
        _fail(pipe, str(error))
    except OSError as error:
        _fail(pipe, f"{error.filename or data}: {error.strerror or error}")


def _fail(pipe: wire.Pipe, text: str) -> NoReturn:
    with suppress(wire.WireError):
        pipe.send(wire.Failed(text=text[:MAX_SAID]))
    sys.exit(1)


class _Session:
    """One conversation."""

    def __init__(self, pipe: wire.Pipe, data: Path) -> None:
        self._pipe, self._data = pipe, data
        self._sending = threading.Lock()
        self._bundle: Path | None = None
        self._files: dict[str, wire.FileSpec] = {}

    def run(self) -> None:
        if not self._data.is_dir():
            raise EngineError(
                f"{self._data}: no such folder on the board; give --board-data DIR, where it can"
                " keep engines"
            )
        self._prepare(self._asked(wire.Wish))
        self._take(self._asked(wire.Offer))
        self._asked(wire.Build)
        self._build()
        while True:
            self._give(self._asked(wire.Fetch))

    def _asked(self, kind: type[wire.Asked]) -> wire.Asked:
        message = wire.understood(self._pipe.line(), wire.ASKS)
        if not isinstance(message, kind):
            raise EngineError(f"the workstation asks {message.ask} out of turn")
        return message

    def _tell(self, message: Spec) -> None:
        with self._sending:
            self._pipe.send(message)

    def _prepare(self, wish: wire.Wish) -> None:
        if wish.version != wire.VERSION:
            raise EngineError(
                f"the workstation speaks version {wish.version}, the board {wire.VERSION}; update"
                " youtube-mirror on the older one"
            )
        self._wish, self._builder = wish, builder_for(wish.backend)
        with open_bundle(DEMO_BUNDLE) as bundle:
            key = self._builder.key(bundle)
        self._key = key.model_copy(update={"graphs": wish.graphs})
        self._tell(wire.Prepared(key=self._key))

    def _take(self, offer: wire.Offer) -> None:
        """Find the bundle that is offered, or take what is lacking of it."""
        self._bundle = self._there(offer.id)
        if self._bundle is not None or self._found() is not None:
            self._tell(wire.Wants(files=()))
            return
        self._bundle = self._incoming(offer.id)
        arriving = Arriving(self._bundle)
        offsets = {file: arriving.offset(file) for file in offer.files}
        lacking = {file: offset for file, offset in offsets.items() if offset is not None}
        self._check_room(sum(file.size - offset for file, offset in lacking.items()))
        wanted = tuple(wire.Want(name=file.name, offset=lacking[file]) for file in lacking)
        self._tell(wire.Wants(files=wanted))
        for file, offset in lacking.items():
            coming = self._asked(wire.File)
            if coming != wire.File(name=file.name, offset=offset, size=file.size - offset):
                raise EngineError(f"the workstation sends {coming.name}, not what was wanted")
            arriving.take(file, offset, self._pipe, bool)
            self._tell(wire.Taken(name=file.name))

    def _incoming(self, identity: str) -> Path:
        """Where a bundle arrives; there is room for one."""
        incoming = self._data / _INCOMING
        for other in incoming.glob("*"):
            if other.name != identity:
                shutil.rmtree(other, ignore_errors=True)
        return incoming / identity

    def _there(self, identity: str) -> Path | None:
        """A bundle of that id that this board has already."""
        for path in (default_bundle(self._data), DEMO_BUNDLE):
            try:
                if path.is_dir() and check_sums(path) == identity:
                    return path
            except BundleError as error:
                self._event(Said(text=str(error)[:MAX_SAID]))
        return None

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._data).free
        if needed > free:
            raise EngineError(
                f"{self._data}: the bundle needs {needed >> 20} MiB on the board, and"
                f" {free >> 20} are free; make room there"
            )

    def _found(self) -> EngineFolder | None:
        """Engines that are there already, if those will do."""
        if self._wish.force:
            return None
        problems: list[str] = []
        found = find_engines(self._places(), self._key, problems)
        for problem in problems:
            self._event(Said(text=problem[:MAX_SAID]))
        return found

    def _places(self) -> tuple[Path, ...]:
        """The first is where they are built."""
        installed = engine_places(self._bundle or self._data / _INCOMING, self._data)
        return tuple(dict.fromkeys((self._data / ENGINES_FOLDER, *installed)))

    def _build(self) -> None:
        with self._alive():
            outcome = self._outcome()
        names = (*(f"{name}{ENGINE_SUFFIX}" for name in self._key.graphs), REPORT_NAME)
        self._folder = outcome.engines.folder
        self._files = {name: spec_of(self._folder, name) for name in names}
        shutil.rmtree(self._data / _INCOMING, ignore_errors=True)
        files = tuple(self._files.values())
        self._tell(wire.BuiltThere(built=outcome.built, files=files))

    def _outcome(self) -> Outcome:
        found = self._found()
        if found is not None:
            return Outcome(found, built=False)
        if self._bundle is None:
            raise EngineError("the engines that were there have gone; run the same command again")
        with open_bundle(self._bundle) as bundle:
            if self._builder.key(bundle) != self._key:
                raise EngineError("the bundle that was sent has other graphs than were announced")
            return build_engines(
                bundle, self._builder, self._places(), self._event, self._wish.force, KEPT
            )

    def _give(self, fetch: wire.Fetch) -> None:
        file = self._files.get(fetch.name)
        if file is None or fetch.offset + fetch.size > file.size:
            raise EngineError(f"the workstation asks for {fetch.name}, which is not so")
        for piece in pieces(self._folder / file.name, fetch.offset, fetch.size):
            self._pipe.send_bytes(piece)

    def _event(self, event: Event) -> None:
        self._tell(wire.Event(event=event))

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Say so every second; if nobody hears it any more, end at once, whatever is being done."""
        done = threading.Event()
        thread = threading.Thread(target=self._say_alive, args=[done], daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _say_alive(self, done: threading.Event) -> None:
        while not done.wait(_ALIVE_EVERY_S):
            try:
                self._tell(wire.Alive())
            except wire.WireError:
                # A builder cannot be interrupted otherwise; what it has finished is kept.
                os._exit(1)
