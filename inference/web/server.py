"""The server of waitress, hardened against connections that send slowly, send nothing or take no answer.

A connection waits for its client while no request of it is worked on. It may do so for a limited time, and where there
are too many connections, the one that waits longest is closed.
"""

import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

MAX_HEADER_BYTES = 16_384
MAX_WAIT_SECONDS = 30.0  # for a request to begin, for the rest of it to come, for its answer to be taken
OTHERS = 100  # connections beyond those that one address may have


class Channel(HTTPChannel):
    """A connection."""

    waits_since: float | None  # for its client, as of `time.monotonic`; None: a request is worked on
    has_begun = False  # to get its next request

    # waitress' channel_timeout counts from the last byte, and at its connection_limit it accepts nobody: a byte now and
    # then keeps all others out. Hence a time that bytes do not extend, and room for new connections at the limit.

    def __init__(self, server: "Server", sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:
        self.waits_since = time.monotonic()
        super().__init__(server, sock, addr, adj, map=map)
        server.make_room(addr[0])

    def received(self, data: bytes) -> bool:
        """Called with what has come, in the main thread."""
        if not self.has_begun:
            self.has_begun, self.waits_since = True, time.monotonic()
        return super().received(data)

    def service(self) -> None:
        """Answers a request, in a thread of its own."""
        super().service()
        with self.requests_lock:  # in which waitress calls `Server.add_task`
            if not self.requests:
                self.has_begun, self.waits_since = False, time.monotonic()


class Server(TcpWSGIServer):
    """Serves an application.

    Args:
      app: of WSGI.
      listener: socket that is bound.
      threads: number of requests that are worked on.
      max_body_bytes: of a request.
      max_connections: from one address.
      max_wait_seconds: see `MAX_WAIT_SECONDS`.
    """

    channel_class = Channel

    def __init__(
        self,
        app: Callable,
        listener: socket.socket,
        threads: int,
        max_body_bytes: int,
        max_connections: int,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._max_connections, self._max_wait_seconds = max_connections, max_wait_seconds
        super().__init__(
            app,
            _sock=listener,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
            threads=threads,
            ident=None,
            connection_limit=max_connections + OTHERS + 10,  # never reached, since `make_room` comes before
            cleanup_interval=1,
            asyncore_use_poll=True,  # select() ends the server at a file descriptor over 1023
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=max_body_bytes,
        )

    def add_task(self, task: Channel) -> None:
        """Called with a connection of which a request has come."""
        task.waits_since = None
        super().add_task(task)

    def make_room(self, address: str) -> None:
        """Closes a connection if there are too many, after one from an address was added."""
        channels = [channel for channel in self.active_channels.values() if channel.addr[0] == address]
        self._close_longest(channels, self._max_connections)
        self._close_longest(list(self.active_channels.values()), self._max_connections + OTHERS)

    def _close_longest(self, channels: list[Channel], limit: int) -> None:
        """Closes the connection that waits longest if there are too many; the new one is among them."""
        if len(channels) > limit:
            logging.info("more than %d connections: the one that waits longest is closed", limit)
            waits = [(channel.waits_since, channel) for channel in channels if channel.waits_since is not None]
            min(waits, key=lambda wait: wait[0])[1].handle_close()

    def maintenance(self, now: float) -> None:
        """Called once a second; in the place of waitress' own, which would wait for an answer to be taken."""
        start = time.monotonic() - self._max_wait_seconds
        for channel in list(self.active_channels.values()):
            if channel.waits_since is not None and channel.waits_since < start:
                channel.handle_close()
