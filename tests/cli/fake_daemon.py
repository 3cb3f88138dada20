"""A control socket that answers one request with lines written beforehand."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coopfs.cli.client import SOCKET_NAME


@contextmanager
def answering(home: Path, *answers: Sequence[bytes]) -> Iterator[list[dict[str, Any]]]:
    """Serves one connection per element of answers, with these lines, then closes; yields the requests that came."""
    requests: list[dict[str, Any]] = []
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / SOCKET_NAME))
        listener.listen()

        def serve() -> None:
            for lines in answers:
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as reader:
                    # who only wants to know whether somebody answers sends nothing
                    if request := reader.readline():
                        requests.append(json.loads(request))
                        connection.sendall(b"".join(lines))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield requests
        finally:
            thread.join(10)
            assert not thread.is_alive(), "the command did not ask as often as expected"


def result(**fields: Any) -> bytes:
    return json.dumps({"result": fields}).encode() + b"\n"


def progress(step: str, done: int, total: int) -> bytes:
    return json.dumps({"progress": {"step": step, "done": done, "total": total}}).encode() + b"\n"


def error(line: str, code: int) -> bytes:
    return json.dumps({"error": line, "exit": code}).encode() + b"\n"
