"""What a node that was only let in to read may ask (types.Partner): open, get, inventory, master blocks."""

from collections.abc import Callable, Sequence

from coopfs.errors import PeerError, Refused
from coopfs.local.hosted.readers import Readers
from coopfs.types import (
    Amendment,
    BlockStore,
    Claim,
    DiskId,
    Grant,
    Master,
    NodeKey,
    Octets,
    Opening,
    Partner,
    Proposal,
    Renewal,
    Settlement,
    Slot,
    StepAnswer,
    StepWord,
    StoredBlock,
    Welcome,
    Write,
)

_ONLY_READ = "this node was let in to read only"


class ReaderPartner:
    """One session of one reader. host_for: what the owner of a disk may ask, of which a reader may do the reading."""

    def __init__(self, readers: Readers, reader: NodeKey, host_for: Callable[[NodeKey], Partner]) -> None:
        self._readers = readers
        self._reader = reader
        self._host_for = host_for
        self._hosts: dict[NodeKey, Partner] = {}  # one for each owner: it counts what is open

    async def open(self, opening: Opening) -> BlockStore:
        """Refused: not for reading, or not granted."""
        if opening.claim is not None or opening.create is not None:
            raise Refused(_ONLY_READ)

        def check() -> NodeKey:
            return self._readers.check(self._reader, opening.disk, opening.store)

        return GrantedStore(await self._host(check()).open(opening), check)

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        return await self._host(self._readers.owner_of_disk(self._reader, disk)).masters(disk)

    async def claim(self, claim: Claim) -> None:
        raise Refused(_ONLY_READ)

    async def put_master(self, claim: Claim, master: Master) -> None:
        raise Refused(_ONLY_READ)

    async def agree(self, proposal: Proposal) -> bytes:
        raise Refused(_ONLY_READ)

    async def grant(self, grant: Grant) -> None:
        raise Refused(_ONLY_READ)

    async def offer(self, announcement: bytes) -> Welcome:
        raise Refused(_ONLY_READ)

    async def step(self, word: StepWord) -> StepAnswer:
        raise Refused(_ONLY_READ)

    async def renew(self, renewal: Renewal) -> None:
        raise Refused(_ONLY_READ)

    async def amend(self, amendment: Amendment) -> Settlement:
        raise Refused(_ONLY_READ)

    async def leave(self, text: bytes) -> None:
        raise Refused(_ONLY_READ)

    def _host(self, owner: NodeKey) -> Partner:
        return self._hosts.setdefault(owner, self._host_for(owner))


class GrantedStore:
    """A store that is read for as long as the grant stands. check: raises Refused when it has ended."""

    def __init__(self, store: BlockStore, check: Callable[[], object]) -> None:
        self.opened = store.opened
        self._store = store
        self._check = check

    async def put(self, row: int, version: int, data: Octets) -> None:
        raise Refused(_ONLY_READ)

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        raise Refused(_ONLY_READ)

    async def get(self, row: int) -> StoredBlock | None:
        self._check()
        return await self._store.get(row)

    async def get_many(self, rows: Sequence[int]) -> Sequence[StoredBlock | None]:
        self._check()
        return await self._store.get_many(rows)

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        self._check()
        return await self._store.inventory(first_row, limit)

    async def resize(self, rows: int) -> None:
        raise Refused(_ONLY_READ)

    async def close(self) -> None:
        await self._store.close()
