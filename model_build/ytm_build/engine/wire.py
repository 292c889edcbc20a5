"""What a workstation and a board say to each other: lines of JSON, and files after some of them.

    workstation                         board
    wish(graphs, backend, force)        prepared(key)
    offer(id, files)                    wants(files, from which byte on)
    file(name, offset, size) + bytes    taken(name), for each
    build                               event, alive ..., then built(files)
    fetch(name, offset, size)           size bytes

Instead of any answer, the board may say failed(text), and that is the end. Each end holds the other
for hostile: lines, names and sizes are bounded, and every digest is checked where a file arrives.
"""

from __future__ import annotations

import os
import select
from typing import Annotated, Literal, TypeVar, overload

from pydantic import Field, TypeAdapter, ValidationError

from ytm_build.engine.choice import Backend
from ytm_build.engine.events import MAX_SAID, Begun, Done, Said
from ytm_bundle.engines import EngineKey, GraphFile, Sha256
from ytm_bundle.errors import EngineError
from ytm_bundle.manifest import Spec

VERSION = 1
MAX_LINE_BYTES = 1 << 20
MAX_FILE_BYTES = 4 << 30
MAX_FILES = 1000
PIECE_BYTES = 256 << 10

FileName = Annotated[
    str,
    Field(max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"),
]
"""Below a folder: no part begins with a dot, so none leads out of it."""
Size = Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]


class FileSpec(Spec):
    """A file that one end has."""

    name: FileName
    size: Size
    sha256: Sha256


Files = Annotated[tuple[FileSpec, ...], Field(max_length=MAX_FILES)]


class Wish(Spec):
    """Which engines are wanted."""

    ask: Literal["wish"] = "wish"
    version: int = VERSION
    graphs: dict[GraphFile, Sha256]
    backend: Backend
    force: bool


class Offer(Spec):
    """Which of these files does the board lack?"""

    ask: Literal["offer"] = "offer"
    id: Sha256
    files: Files


class File(Spec):
    """Here is what was wanted of a file; `size` bytes follow."""

    ask: Literal["file"] = "file"
    name: FileName
    offset: Size
    size: Size


class Build(Spec):
    """Make the engines of the bundle that was offered, unless they are there."""

    ask: Literal["build"] = "build"


class Fetch(Spec):
    """Send so much of a file of these engines."""

    ask: Literal["fetch"] = "fetch"
    name: FileName
    offset: Size
    size: Size


Ask = Wish | Offer | File | Build | Fetch
Asked = TypeVar("Asked", Wish, Offer, File, Build, Fetch)


class Prepared(Spec):
    """What the engines will depend on."""

    tell: Literal["prepared"] = "prepared"
    version: int = VERSION
    key: EngineKey


class Want(Spec):
    """A file that the board lacks from a byte on."""

    name: FileName
    offset: Size


class Wants(Spec):
    """What the board lacks."""

    tell: Literal["wants"] = "wants"
    files: Annotated[tuple[Want, ...], Field(max_length=MAX_FILES)]


class Taken(Spec):
    """A file is there, whole."""

    tell: Literal["taken"] = "taken"
    name: FileName


class Event(Spec):
    """Something of a build."""

    tell: Literal["event"] = "event"
    event: Begun | Done | Said


class Alive(Spec):
    """The board is at work."""

    tell: Literal["alive"] = "alive"


class BuiltThere(Spec):
    """The engines are there."""

    tell: Literal["built"] = "built"
    built: bool
    """False: they were there before."""
    files: Files


class Failed(Spec):
    """The board cannot do what was asked."""

    tell: Literal["failed"] = "failed"
    text: Annotated[str, Field(max_length=MAX_SAID)]


Tell = Prepared | Wants | Taken | Event | Alive | BuiltThere | Failed
Told = TypeVar("Told", Prepared, Wants, Taken, BuiltThere)

ASKS: TypeAdapter[Ask] = TypeAdapter(Annotated[Ask, Field(discriminator="ask")])
TELLS: TypeAdapter[Tell] = TypeAdapter(Annotated[Tell, Field(discriminator="tell")])


class WireError(EngineError):
    """The other end has gone, or does not speak as agreed."""


class Pipe:
    """Both directions to the other end, never waited for longer than `patience_s` at a time."""

    def __init__(self, incoming: int, outgoing: int, patience_s: float) -> None:
        """On two open file descriptors, which stay the caller's."""
        self._in, self._out, self._patience_s = incoming, outgoing, patience_s
        self._read = bytearray()
        os.set_blocking(outgoing, False)

    def send(self, message: Spec) -> None:
        """Send one line.

        Raises:
            WireError: nobody takes it.
        """
        self.send_bytes(message.model_dump_json().encode() + b"\n")

    def send_bytes(self, data: bytes) -> None:
        """Send what follows a line.

        Raises:
            WireError: nobody takes it.
        """
        view = memoryview(data)
        while view:
            if not select.select([], [self._out], [], self._patience_s)[1]:
                raise WireError(f"nothing was taken for {self._patience_s:g} s")
            try:
                view = view[os.write(self._out, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise WireError(f"the connection has ended ({error.strerror})") from error

    def line(self) -> bytes:
        """The next line, without its end.

        Raises:
            WireError: there is none, or it is too long.
        """
        searched = 0
        while (end := self._read.find(b"\n", searched)) < 0:
            searched = len(self._read)
            if searched > MAX_LINE_BYTES:
                raise WireError("a line is too long")
            self._more()
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def some(self, most: int) -> bytes:
        """At least one byte and at most `most` of what follows a line.

        Raises:
            WireError: there is nothing more.
        """
        if not self._read:
            self._more()
        piece = bytes(self._read[:most])
        del self._read[: len(piece)]
        return piece

    def _more(self) -> None:
        if not select.select([self._in], [], [], self._patience_s)[0]:
            raise WireError(f"nothing came for {self._patience_s:g} s")
        try:
            data = os.read(self._in, PIECE_BYTES)
        except OSError as error:
            raise WireError(f"the connection has ended ({error.strerror})") from error
        if not data:
            raise WireError("the connection has ended")
        self._read += data


@overload
def understood(line: bytes, kind: TypeAdapter[Ask]) -> Ask: ...
@overload
def understood(line: bytes, kind: TypeAdapter[Tell]) -> Tell: ...
def understood(line: bytes, kind: TypeAdapter[Ask] | TypeAdapter[Tell]) -> Ask | Tell:
    """The message in `line`.

    Raises:
        WireError: it is none.
    """
    try:
        return kind.validate_json(line)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "no message"
        raise WireError(f"what it says is not understood ({where}: {line[:60]!r})") from error
