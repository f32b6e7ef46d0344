"""A line that breaks: passes bytes on to a server on loopback, and cuts the first few connections off in the middle."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress

CHUNK = 256
"""Small, so that a line breaks within a message."""


class Line:
    """Connections so far, how many of them were cut, and the bytes that went through."""

    def __init__(self, cuts, after_bytes):
        self.cuts, self.after_bytes = cuts, after_bytes
        self.connections = self.cut = self.passed = 0
        self.port = 0

    def _serve(self, listener, target):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            self.connections += 1
            doomed = self.connections <= self.cuts
            far = socket.create_connection(("127.0.0.1", target))
            budget = [self.after_bytes if doomed else None]  # of both ways together
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(one, other, budget), daemon=True).start()

    def _pass_on(self, source, sink, budget):
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if budget[0] is not None:
                    budget[0] -= len(data)
                    if budget[0] < 0:
                        self.cut += 1
                        budget[0] = None
                        break
                sink.sendall(data)
                self.passed += len(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def breaking(target, cuts=0, after_bytes=0):
    """A port that leads to `target`, and whose first connections break after so many bytes, both ways together."""
    line = Line(cuts, after_bytes)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line.port = listener.getsockname()[1]
        thread = threading.Thread(target=line._serve, args=(listener, target), daemon=True)
        thread.start()
        try:
            yield line
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
