"""One service of the mirror as a process of its own, watched by the one that started it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence

from ytm_device.console import say
from ytm_device.owner import Owner

STOP_S = 5.0
"""How long a service may take to stop before it is killed."""
_ERROR = "error: "
_JOIN_S = 2.0
_MAX_LINE = 500


class Member(Owner):
    """A running service. Its messages are passed on with its name before them."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        """Start `ytm-mirror NAME ARGUMENTS`.

        It gets a session of its own, so that Ctrl-C reaches the parent alone, which stops all in
        order; and a pipe as its input, whose end tells it that the parent is gone.
        """
        self.name = name
        self._last_line = self._last_error = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ytm_device.mirror", name, *arguments, "--with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs; minus the signal's number if one killed it."""
        return self._process.poll()

    def why(self) -> str:
        """Why it ended, in its own last words if it had any."""
        self._listener.join(_JOIN_S)
        code = self._process.returncode
        how = f"killed by signal {-code}" if code and code < 0 else f"exit code {code}"
        return self._last_error or f"{how}{': ' if self._last_line else ''}{self._last_line}"

    def stop(self) -> None:
        """Ask it to stop; `close` waits for it."""
        if self._process.poll() is None:
            self._process.terminate()

    def close(self) -> None:
        """Stop it, by force if it does not within `STOP_S`."""
        self.stop()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            say(f"{self.name} did not stop within {STOP_S:g} s and was killed")
            self._process.kill()
            self._process.wait()
        self._listener.join(_JOIN_S)
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        stream = self._process.stderr
        while stream is not None and (line := stream.readline(_MAX_LINE)):
            text = line.decode("utf-8", "replace").rstrip()
            if text.startswith(_ERROR):
                # Said once, by the parent, when it names who stopped.
                self._last_error = text.removeprefix(_ERROR)
            elif text:
                self._last_line = text
                say(f"{self.name}: {text}")
