"""Nodes, links between two of them, and a network of streams in memory."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio
from trio.testing import memory_stream_pair

from coopfs.core.identity import Identity
from coopfs.core.wire.answers import Answer
from coopfs.core.wire.messages import Request
from coopfs.core.wire.node_requests import Hello
from coopfs.core.wire.session import Session, Standing
from coopfs.core.wire.store_requests import Get, Put
from coopfs.errors import CoopfsError, PartnerAway
from coopfs.net.channel import Channel, LocalNode, initiate, respond
from coopfs.net.link import Link
from coopfs.types import NodeKey


def node(number: int, incarnation: int = 0, serves: bool = True, versions: tuple[int, int] = (0, 0)) -> LocalNode:
    hello = Hello(bytes([number, incarnation]) * 8, *versions, serves)
    return LocalNode(
        Identity.from_seed(bytes([number]) * 32), hello, random.Random(number * 256 + incarnation).randbytes
    )


def by_key(*nodes: LocalNode) -> list[LocalNode]:
    return sorted(nodes, key=lambda one: one.identity.key)


def everybody(key: NodeKey) -> Standing:
    return Standing.PARTNER


def nobody(key: NodeKey) -> Standing:
    return Standing.STRANGER


def readers(key: NodeKey) -> Standing:
    return Standing.READER


Ends = tuple[tuple[Channel, Session], tuple[Channel, Session]]


async def handshake(
    near: trio.abc.Stream,
    far: trio.abc.Stream,
    left: LocalNode,
    right: LocalNode,
    authorize: Callable[[NodeKey], Standing],
) -> Ends:
    """`left` dials `right` over two streams that belong together."""
    ends: dict[str, tuple[Channel, Session]] = {}

    async def dial() -> None:
        ends["left"] = await initiate(near, left, right.identity.key)

    async def listen() -> None:
        ends["right"] = await respond(far, right, authorize)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        nursery.start_soon(listen)
    return ends["left"], ends["right"]


async def channels(left: LocalNode, right: LocalNode, authorize: Callable[[NodeKey], Standing] = everybody) -> Ends:
    """`left` dials `right` over memory."""
    return await handshake(*memory_stream_pair(), left, right, authorize)


Answers = Callable[[Request], Awaitable[Answer]]


class OneByOne:
    """A link's handler that has one function answer everything, gets and puts that came together in their order."""

    def __init__(self, answers: Answers) -> None:
        self.handle = answers

    async def put_all(self, puts: Sequence[Put]) -> Sequence[Answer | CoopfsError]:
        return [await self._answer(put) for put in puts]

    async def get_all(self, gets: Sequence[Get]) -> Sequence[Answer | CoopfsError]:
        return [await self._answer(get) for get in gets]

    async def _answer(self, request: Request) -> Answer | CoopfsError:
        try:
            return await self.handle(request)
        except CoopfsError as error:
            return error


async def silent(request: Request) -> Answer:
    """Answers for sides that nobody should ask."""
    raise AssertionError(request)


@asynccontextmanager
async def linked(
    behind_left: Answers, behind_right: Answers, authorize: Callable[[NodeKey], Standing] = everybody
) -> AsyncIterator[tuple[Link, Link]]:
    """Two running links, `left` dialled; each end answers with a function."""
    left, right = await channels(node(1), node(2), authorize)
    links = Link(*left), Link(*right)
    async with trio.open_nursery() as nursery:
        await nursery.start(links[0].run, OneByOne(behind_left))
        await nursery.start(links[1].run, OneByOne(behind_right))
        yield links
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def against(behind: Answers) -> AsyncIterator[tuple[Link, Channel]]:
    """A running link, and the bare channel at its other end, to misbehave with."""
    left, (channel, _) = await channels(node(1), node(2))
    link = Link(*left)
    async with trio.open_nursery() as nursery:
        await nursery.start(link.run, OneByOne(behind))
        yield link, channel
        nursery.cancel_scope.cancel()


class Network:
    """Addresses and what accepts there. Each connection is a pair of memory streams; `dialled` counts, with times."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.listeners: dict[str, Callable[[trio.abc.Stream], Awaitable[None]]] = {}
        self.dialled: list[tuple[float, str]] = []
        self.latency = 0.0
        self._nursery = nursery

    async def dial(self, address: str) -> trio.abc.Stream:
        self.dialled.append((trio.current_time(), address))
        await trio.sleep(self.latency)
        if address not in self.listeners:
            raise PartnerAway("nobody listens")
        near, far = memory_stream_pair()
        self._nursery.start_soon(self.listeners[address], far)
        return near


def no_jitter() -> float:
    return 1.0
