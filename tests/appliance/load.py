"""Makes what lasts on a board change again and again, and keeps what was acknowledged when."""

from __future__ import annotations

import collections
import json
import select
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from appliance.acknowledged import Change, History
from appliance.write_log import told_so_far
from ytm_bundle.engines import EngineKey
from ytm_device.settings.source import Value, nested

CHANGES = Path(__file__).with_name("changes.py")
BY_COMMAND, BY_CALL, CARELESS, BUILDS = 4, 40, 12, 2
VOLUME, ROTATION = "sound.volume_db", "screen.rotation"
_HANG_S = 900.0
_TURNS = 4
_DEGREES = 90

Tell = Callable[..., Any]
"""Told a verb of `changes.py` and its arguments, it gives what is there then."""


class CutOffError(Exception):
    """The machine ended before it answered."""


@contextmanager
def telling(words: Sequence[str | Path]) -> Iterator[Tell]:
    """Start `changes.py` by a command; gone afterwards."""
    pipe = subprocess.PIPE
    # Without buffers, nothing is left to be written to a machine that has gone.
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout

        def tell(*words: str) -> Any:
            try:
                into.write(json.dumps(words).encode() + b"\n")
            except BrokenPipeError as error:
                raise CutOffError(words) from error
            assert select.select([out], [], [], _HANG_S)[0], f"{words}: no answer"
            if not (answer := out.readline()):
                raise CutOffError(words)
            return json.loads(answer)

        try:
            yield tell
        finally:
            process.kill()


class Load:
    """The changes of one disk, whose log grows meanwhile."""

    def __init__(self, log: Path) -> None:
        """Before the first change."""
        self.histories: dict[str, History] = collections.defaultdict(History)
        """By the names that `cuts.readers` has."""
        self._log = log
        self._settings: dict[str, Value] = {}

    def change(self, name: str, make: Callable[[], object]) -> None:
        """Make one; `make` gives what is there afterwards, and returns when that is sure."""
        begun = told_so_far(self._log)
        state = make()
        self.histories[name].changes.append(Change(state, begun, told_so_far(self._log)))

    def settings(self, tell: Tell) -> None:
        """Set two settings in turn, by the command, which takes its time, and by what it calls."""
        for number in range(BY_COMMAND):
            self._set(tell, "by_command", VOLUME, -number - 0.5)
        for number in range(BY_CALL // 2):
            self._set(tell, "by_call", VOLUME, -number)
            self._set(tell, "by_call", ROTATION, number % _TURNS * _DEGREES)

    def _set(self, tell: Tell, verb: str, key: str, value: Value) -> None:
        self._settings[key] = value
        wanted = nested(self._settings)

        def make() -> object:
            tell(verb, key, str(value))
            return wanted

        self.change("settings", make)

    def bundles(self, tell: Tell, sources: Sequence[Path | str]) -> None:
        """Install one bundle after the other, and have each found good."""
        for source in sources:
            self.change("bundle", partial(tell, "install", str(source)))
            self.change("last good bundle", partial(tell, "find_good"))

    def engines(self, tell: Tell, bundle: Path | str) -> EngineKey:
        """Build the engines of a bundle, more than once; their key, the same each time."""
        keys = []

        def make() -> object:
            told = tell("build", str(bundle))
            keys.append(EngineKey.model_validate(told["key"]))
            return told["id"]

        for _ in range(BUILDS):
            self.change("engines", make)
        return keys[-1]

    def careless(self, tell: Tell) -> None:
        """Replace a file without a thought of power cuts."""
        for number in range(CARELESS):
            self.change("careless", partial(tell, "put_carelessly", str(number)))
