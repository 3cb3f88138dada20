"""The partner that a restore view is to those it calls: none."""

from collections.abc import Sequence

from coopfs.errors import Refused
from coopfs.types import (
    Amendment,
    BlockStore,
    Claim,
    DiskId,
    Grant,
    Master,
    Opening,
    Proposal,
    Renewal,
    Settlement,
    StepAnswer,
    StepWord,
    Welcome,
)

_REFUSAL = "this is a restore view: it serves nothing"


class Nobody:
    """What partners can ask of a restore view (types.Partner): nothing."""

    async def open(self, opening: Opening) -> BlockStore:
        raise Refused(_REFUSAL)

    async def claim(self, claim: Claim) -> None:
        raise Refused(_REFUSAL)

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        raise Refused(_REFUSAL)

    async def put_master(self, claim: Claim, master: Master) -> None:
        raise Refused(_REFUSAL)

    async def grant(self, grant: Grant) -> None:
        raise Refused(_REFUSAL)

    async def agree(self, proposal: Proposal) -> bytes:
        raise Refused(_REFUSAL)

    async def offer(self, announcement: bytes) -> Welcome:
        raise Refused(_REFUSAL)

    async def step(self, word: StepWord) -> StepAnswer:
        raise Refused(_REFUSAL)

    async def renew(self, renewal: Renewal) -> None:
        raise Refused(_REFUSAL)

    async def amend(self, amendment: Amendment) -> Settlement:
        raise Refused(_REFUSAL)

    async def leave(self, text: bytes) -> None:
        raise Refused(_REFUSAL)
