"""What processes used, and what went between them."""

import os
import socket
import threading

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    """CPU seconds of a running process, all its threads, user and system."""
    with open(f"/proc/{pid}/stat") as file:
        # The program's name, in brackets, may have spaces in it.
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak(pid="self"):
    """The most memory a process has had resident, in bytes."""
    with open(f"/proc/{pid}/status") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def disk(path):
    """Bytes that the files below a directory take up."""
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Wire:
    """A way to a port of this machine that counts what passes, in both directions.

    It counts what TCP is given: no TCP or IP headers.
    """

    def __init__(self, target):
        self._target = target
        self._lock = threading.Lock()
        self._bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def bytes(self):
        with self._lock:
            return self._bytes

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        try:
            while run := source.recv(1 << 18):
                with self._lock:
                    self._bytes += len(run)
                sink.sendall(run)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
