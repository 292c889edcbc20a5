"""What a service tells systemd of itself: ready, how it is, alive, stopping. See sd_notify(3).

One datagram a message, to the socket that `$NOTIFY_SOCKET` names. Without it, as on a workstation,
nothing is said. What cannot be delivered is dropped: the show does not depend on it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from ytm_device.owner import Owner

_ABSTRACT = "@"
_US_PER_S = 1_000_000
MAX_STATUS = 200
"""Characters of a status; longer ones are cut."""


class Notifier(Owner):
    """Speaks for the process that made it."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        """Speak to the datagram socket at `address`; to nobody if there is none."""
        self.watchdog_s = watchdog_s
        """Seconds without `alive` after which systemd kills this process; None: it never does."""
        self._socket: socket.socket | None = None
        if address is None:
            return
        self._address = address.replace(_ABSTRACT, "\0", 1) if address[0] == _ABSTRACT else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Notifier:
        """As systemd told this process: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`."""
        told = os.environ if environment is None else environment
        meant = told.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        interval_us = told.get("WATCHDOG_USEC", "")
        watchdog_s = int(interval_us) / _US_PER_S if meant and interval_us.isdigit() else None
        return cls(told.get("NOTIFY_SOCKET") or None, watchdog_s)

    def ready(self) -> None:
        """The service does its work now."""
        self._say("READY=1")

    def status(self, text: str) -> None:
        """How it is, in one line for `systemctl status`."""
        self._say(f"STATUS={' '.join(text.split())[:MAX_STATUS]}")

    def alive(self) -> None:
        """A turn of real work is finished."""
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """The service is on its way out."""
        self._say("STOPPING=1")

    def close(self) -> None:
        """See `Owner.close`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError:
            # Full, gone or forbidden: systemd then judges by silence, as it should.
            return
