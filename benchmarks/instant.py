"""A server that starts at once; its answer is the time at which it listened."""

from __future__ import annotations

import socket
import sys
import time


def main() -> None:
    port = int(sys.argv[1].removeprefix("--port="))
    with socket.create_server(("127.0.0.1", port)) as server:
        listened = b"%.6f" % time.time()
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(listened)
        while True:
            link, _ = server.accept()
            with link:
                while link.recv(65536):
                    link.sendall(answer + listened)


if __name__ == "__main__":
    main()
