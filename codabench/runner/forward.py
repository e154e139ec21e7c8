"""Runs inside a container that has no network: passes connections to 127.0.0.1 on to a socket of the host.

``python3 forward.py PORT SOCKET COMMAND...`` becomes COMMAND; a process of its own does the passing on, until the
container ends. Nothing but Python's standard library is there, of any version from 3.6 on.
"""

import os
import socket
import sys
import threading


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Everything that one side says, to the other; then its end."""
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client: socket.socket, path: str) -> None:
    upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        upstream.connect(path)
    except OSError:
        client.close()
        return
    back = threading.Thread(target=pass_on, args=(upstream, client))
    back.daemon = True
    back.start()
    pass_on(client, upstream)
    back.join()
    client.close()
    upstream.close()


def main(port: int, path: str, command: "list[str]") -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    if os.fork() == 0:
        # Twice, so that it is no child of the program, which may wait for all of its own.
        if os.fork() != 0:
            os._exit(0)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)  # the program's output ends when the program ends
        while True:
            client, _ = listener.accept()
            worker = threading.Thread(target=serve, args=(client, path))
            worker.daemon = True
            worker.start()
    os.wait()
    listener.close()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write("%s: %s\n" % (command[0], error.strerror))
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
