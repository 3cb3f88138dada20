"""`coopfs match serve`: the service on Hypercorn's trio worker, until SIGTERM."""

import logging
import os
import random
import signal
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from coopfs.errors import StateError, UsageError
from coopfs.limits import MATCH_BODY, MATCH_EXPIRE_INTERVAL, MATCH_MEMBERS, MATCH_READ_TIMEOUT
from coopfs.match.engines import Engine, PostgresEngine, SqliteEngine
from coopfs.match.matchmaker import Matchmaker
from coopfs.match.rates import Rates
from coopfs.match.register import TABLES, Register
from coopfs.match.settings import Settings
from coopfs.match.web import Web
from coopfs.net.tcp import listen_tcp

logger = logging.getLogger(__name__)
POSTGRES = ("postgresql://", "postgres://")


def open_engine(database: str) -> Engine:
    """StateError: it cannot be opened; UsageError: the driver of PostgreSQL is not installed."""
    if database.startswith(POSTGRES):
        return PostgresEngine(database, TABLES)
    return SqliteEngine(Path(database), TABLES)


async def run_server(settings: Settings, ready: Callable[[Sequence[str]], None]) -> None:
    """Serve until SIGTERM or SIGINT. ready: told the addresses. UsageError, StateError."""
    engine = await trio.to_thread.run_sync(open_engine, settings.database)
    try:
        register = Register(engine, MATCH_MEMBERS)
        rates = Rates(time.monotonic)
        maker = Matchmaker(register, rates, time.time, random.random, together=settings.together)
        application = Web(maker, settings.proxies).application()
        listeners = await listen_tcp(settings.listen)
        config = _config(settings, listeners)
        async with trio.open_nursery() as nursery:
            await register.expire(int(time.time()))
            nursery.start_soon(_expire, register)
            ready(await nursery.start(_serve, application, config))
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    break
            nursery.cancel_scope.cancel()
    finally:
        engine.close()


async def _serve(application: object, config: Config, *, task_status: trio.TaskStatus[list[str]]) -> None:
    await serve(application, config, task_status=task_status)  # type: ignore[arg-type]


def _config(settings: Settings, listeners: Sequence[trio.SocketListener]) -> Config:
    """Hypercorn closes the descriptors that it is given, so it gets copies. UsageError: no such certificate."""
    config = Config()
    config.bind = [f"fd://{os.dup(listener.socket.fileno())}" for listener in listeners]
    for listener in listeners:
        listener.socket.close()
    config.errorlog = None
    config.read_timeout = int(MATCH_READ_TIMEOUT)
    config.h11_max_incomplete_size = MATCH_BODY
    config.include_server_header = False
    if settings.certificate is not None and settings.key is not None:
        _check_certificate(settings.certificate, settings.key)
        config.certfile, config.keyfile = str(settings.certificate), str(settings.key)
    return config


def _check_certificate(certificate: Path, key: Path) -> None:
    """UsageError: they are not there, or no certificate chain and its key."""
    for file in certificate, key:
        try:
            file.read_bytes()
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        raise UsageError(
            f"{certificate} is no chain of certificates in PEM, or {key} is not its key, in PEM without a passphrase "
            f"({error.reason or 'not understood'})"
        ) from None


async def _expire(register: Register) -> None:
    while True:
        await trio.sleep(MATCH_EXPIRE_INTERVAL)
        try:
            await register.expire(int(time.time()))
        except StateError as trouble:
            logger.warning("%s", trouble)
