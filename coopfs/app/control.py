"""The control socket: the commands of this home's owner, one request a connection (cli/client says how they look)."""

import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio

from coopfs import __version__
from coopfs.app.requests import Arguments, check_arguments
from coopfs.errors import CoopfsError, StateError, UsageError, first_of
from coopfs.limits import CONTROL_LINE, CONTROL_QUEUE
from coopfs.local.database import REMEDY, SqliteError

Watch = Callable[[str, int, int], None]  # step, done, total
Call = Callable[[Arguments, Watch], Awaitable[Any]]


async def serve_control(
    path: Path, calls: dict[str, Call], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer until cancelled; then the socket is gone. The home's lock is held, so a socket that is there is stale."""
    path.unlink(missing_ok=True)
    # A socket's address holds 107 bytes, and homes may lie deeper: bind through the directory's descriptor.
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        with listener:
            await listener.bind(f"/proc/self/fd/{directory}/{path.name}")
            path.chmod(0o600)
            listener.listen(CONTROL_QUEUE)
            task_status.started()
            await trio.serve_listeners(partial(_answer, calls), [trio.SocketListener(listener)])
    finally:
        os.close(directory)
        path.unlink(missing_ok=True)


async def _answer(calls: dict[str, Call], stream: trio.SocketStream) -> None:
    """One request. The caller may go away at any time: then its call is cancelled."""
    async with stream, trio.open_nursery() as nursery:
        send, receive = trio.open_memory_channel[dict[str, Any]](CONTROL_QUEUE)

        def watch(step: str, done: int, total: int) -> None:
            with suppress(trio.WouldBlock):  # the caller reads slowly; a later line says the same better
                send.send_nowait({"progress": {"step": step, "done": done, "total": total}})

        async def work() -> None:
            message = await _outcome(stream, calls, watch)
            await send.send(message | {"version": __version__})
            await send.aclose()

        nursery.start_soon(work)
        try:
            async for message in receive:
                await stream.send_all(json.dumps(message).encode() + b"\n")
        except trio.BrokenResourceError:
            nursery.cancel_scope.cancel()


async def _outcome(stream: trio.SocketStream, calls: dict[str, Call], watch: Watch) -> dict[str, Any]:
    try:
        name, arguments = _parse(await _read_line(stream))
        if name not in calls:
            raise UsageError(f"this daemon does not know the call {name!r}: is it of the same version?")
        return {"result": await calls[name](check_arguments(name, arguments), watch)}
    except* CoopfsError as group:
        error = first_of(group)
        assert isinstance(error, CoopfsError)
        answer = {"error": str(error), "exit": error.exit_code}
    except* SqliteError as group:
        answer = {
            "error": f"a database of this home is damaged ({first_of(group)}): {REMEDY}",
            "exit": StateError.exit_code,
        }
    return answer


async def _read_line(stream: trio.SocketStream) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        try:
            part = await stream.receive_some(CONTROL_LINE)
        except trio.BrokenResourceError:
            part = b""
        line += part
        if not part or len(line) > CONTROL_LINE:
            raise UsageError("a request on the control socket is one line of JSON")
    return line


def _parse(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    match request:
        case {"call": str(name), "args": dict(arguments)}:
            return name, arguments
    raise UsageError("a request on the control socket is one line of JSON with call and args")
