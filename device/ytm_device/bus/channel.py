"""Newest reflection wins: conflated ZeroMQ publish/subscribe between the three services.

The subscriber connects and the publisher binds, so either may start first and either may restart:
ZeroMQ reconnects by itself. Nothing queues; a slow reader sees the newest message only.
"""

from __future__ import annotations

import zmq

from ytm_bundle.errors import DeviceError
from ytm_device.bus import wire
from ytm_device.frame import Reflection
from ytm_device.owner import Owner

RECONNECT_MS = 20
"""First pause before connecting again; ZeroMQ's own 100 ms would be heard as a gap."""
RECONNECT_MAX_MS = 500
WAITING = 4
"""Messages that may wait to be looked at; older ones among them are thrown away unread."""
_MOST_READ = 64
"""Messages in one look: more than can wait, here and in the kernel, for who was stopped."""
_MS_PER_S = 1000


class _Channel(Owner):
    """One socket and its context. Made, used and closed in one thread."""

    def __init__(self, kind: int) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket: zmq.Socket[bytes] = self._context.socket(kind)
        self._socket.setsockopt(zmq.LINGER, 0)

    def close(self) -> None:
        """Close the socket at once; what was not delivered is dropped."""
        self._context.destroy(linger=0)


class Publisher(_Channel):
    """Gives reflections to whoever listens."""

    def __init__(self, endpoint: str) -> None:
        """Listen at `endpoint`, for example `ipc:///run/ytm/reflections`.

        Raises:
            DeviceError: nothing can be bound there.
        """
        super().__init__(zmq.PUB)
        self._socket.setsockopt(zmq.CONFLATE, 1)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise DeviceError(f"{endpoint}: cannot publish there ({error})") from error

    def publish(self, reflection: Reflection) -> None:
        """Send `reflection`; it replaces what a listener has not yet read. Never blocks."""
        self._socket.send(wire.encode(reflection), zmq.DONTWAIT)


class Subscriber(_Channel):
    """Looks at the newest reflection."""

    def __init__(self, endpoint: str) -> None:
        """Connect to `endpoint`, where a publisher may or may not be yet.

        Raises:
            DeviceError: `endpoint` is not an address.
        """
        super().__init__(zmq.SUB)
        self.rejected = 0
        """Messages that did not fit the format, ignored."""
        # Not conflated: libzmq then loses 100 bytes a message (libzmq#4925), 250 MB a day.
        self._socket.setsockopt(zmq.RCVHWM, WAITING)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, wire.MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._endpoint = endpoint
        self._losses = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise DeviceError(f"{endpoint}: cannot listen there ({error})") from error

    def newest(self, wait_s: float = 0.0) -> Reflection | None:
        """Take the newest reflection, or None if none came since the last call.

        Waits for one at most `wait_s` seconds.
        """
        if self._is_lost():
            # libzmq itself does not connect again to who sent a message over MAXMSGSIZE.
            self._socket.disconnect(self._endpoint)
            self._socket.connect(self._endpoint)
        if wait_s and not self._socket.poll(round(wait_s * _MS_PER_S), zmq.POLLIN):
            return None
        message = self._last_waiting()
        if message is None:
            return None
        try:
            return wire.decode(message)
        except wire.WireError:
            self.rejected += 1
            return None

    def _is_lost(self) -> bool:
        """Whether the connection has ended since the last call."""
        lost = False
        for _ in range(_MOST_READ):
            try:
                self._losses.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            lost = True
        return lost

    def _last_waiting(self) -> bytes | None:
        message: bytes | None = None
        for _ in range(_MOST_READ):
            try:
                message = self._socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                break
        return message
