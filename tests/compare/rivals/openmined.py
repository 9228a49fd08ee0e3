"""One party of OpenMined's PSI, from a connected socket to the intersection.

One-sided: the client learns whom both hold, the server nothing. The server's set travels in a
Golomb-compressed set, which is what the package does unless told otherwise.
"""

import socket
import struct
import time

import private_set_intersection.python as psi

from . import party

# That anybody is falsely in the intersection, the whole list asked.
FALSE = 1e-9


def send(line, message):
    line.sendall(struct.pack(">Q", len(message)))
    line.sendall(message)


def receive(line):
    def exactly(length):
        run = bytearray(length)
        view = memoryview(run)
        while view:
            got = line.recv_into(view)
            if not got:
                raise EOFError("the other party is gone")
            view = view[got:]
        return bytes(run)

    return exactly(struct.unpack(">Q", exactly(8))[0])


def server(line, keys):
    one = psi.server.CreateWithNewKey(True)
    count = int(receive(line))
    send(line, one.CreateSetupMessage(FALSE, count, keys).SerializeToString())
    request = psi.Request()
    request.ParseFromString(receive(line))
    send(line, one.ProcessRequest(request).SerializeToString())


def client(line, keys):
    one = psi.client.CreateWithNewKey(True)
    send(line, str(len(keys)).encode())
    send(line, one.CreateRequest(keys).SerializeToString())
    setup, response = psi.ServerSetup(), psi.Response()
    setup.ParseFromString(receive(line))
    response.ParseFromString(receive(line))
    return len(one.GetIntersection(setup, response))


def connected(port):
    """A line on which the other said that it is ready."""
    until = time.monotonic() + 600
    while time.monotonic() < until:
        try:
            line = socket.create_connection(("127.0.0.1", port))
            if line.recv(1):
                return line
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError("the other party does not come")


def main(arguments):
    keys = party.keys(arguments)
    if arguments.rank == 0:
        with socket.create_server(("127.0.0.1", arguments.own)) as listener:
            line, _ = listener.accept()
        line.sendall(b"!")
        with party.measured(arguments):
            server(line, keys)
        # The client has read everything.
        line.recv(1)
    else:
        line = connected(arguments.peer)
        with party.measured(arguments) as report:
            report["links"] = client(line, keys)
        line.sendall(b"!")


if __name__ == "__main__":
    main(party.arguments())
