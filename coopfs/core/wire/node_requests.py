"""The requests from node to node: those of types.Partner beside OPEN, and those that keep a connection alive.

`wire` is the one encoding of a message, `parse` its one decoding: a map (keys as below, documented in
coopfs-protocol(7)) and a body. What `parse` lets through is inside every bound.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from coopfs.core.stepping import Step
from coopfs.core.wire.message_map import U16, U63, U64, Fields, printable
from coopfs.core.wire.message_types import (
    AGREEMENT_SIZES,
    ID_SIZE,
    KEY_SIZE,
    SIGNATURE_SIZE,
    MessageType,
    Wire,
    bounded,
    claim_map,
    parse_claim,
)
from coopfs.limits import MAX_ADDRESSES, MAX_ANNOUNCEMENT, MAX_FEATURE_NAME, MAX_FEATURES, MAX_TEXT
from coopfs.types import Amendment, Claim, DiskId, Grant, Master, NodeKey, Octets, Proposal, Renewal, StepWord, StoreId


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of each side. incarnation: 16 random bytes of this running node (two machines with one
    identity differ); lowest, highest: protocol versions spoken; serves: false for a node that only reads (a restore
    view), which nobody should take for the way to a partner; then the features in use, by how much they matter."""

    TYPE: ClassVar = MessageType.HELLO
    incarnation: bytes
    lowest: int
    highest: int
    serves: bool
    compatible: tuple[str, ...] = ()
    read_compatible: tuple[str, ...] = ()
    incompatible: tuple[str, ...] = ()

    def wire(self) -> Wire:
        return {
            "incarnation": self.incarnation,
            "lowest": self.lowest,
            "highest": self.highest,
            "serves": self.serves,
            "compatible": self.compatible,
            "read_compatible": self.read_compatible,
            "incompatible": self.incompatible,
        }, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(
            incarnation=fields.octets("incarnation", ID_SIZE),
            lowest=fields.whole("lowest", U16),
            highest=fields.whole("highest", U16),
            serves=fields.truth("serves"),
            compatible=fields.names("compatible", MAX_FEATURES, MAX_FEATURE_NAME),
            read_compatible=fields.names("read_compatible", MAX_FEATURES, MAX_FEATURE_NAME),
            incompatible=fields.names("incompatible", MAX_FEATURES, MAX_FEATURE_NAME),
        )


@dataclass(frozen=True, slots=True)
class ClaimEpoch:
    """Partner.claim."""

    TYPE: ClassVar = MessageType.CLAIM
    claim: Claim

    def wire(self) -> Wire:
        return claim_map(self.claim), b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(parse_claim(fields))


@dataclass(frozen=True, slots=True)
class GetMasters:
    """Partner.masters."""

    TYPE: ClassVar = MessageType.MASTER_GET
    disk: DiskId

    def wire(self) -> Wire:
        return {"disk": self.disk}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(DiskId(fields.octets("disk", ID_SIZE)))


@dataclass(frozen=True, slots=True)
class PutMaster:
    """Partner.put_master; the sealed master block is the body (how large it may be is for the partner to say)."""

    TYPE: ClassVar = MessageType.MASTER_PUT
    claim: Claim
    master: Master

    def wire(self) -> Wire:
        return {"claim": claim_map(self.claim), "counter": self.master.counter}, self.master.data

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        master = Master(fields.whole("counter", U64), bytes(body))
        return cls(parse_claim(fields.fields("claim")), master)


@dataclass(frozen=True, slots=True)
class Agree:
    """Partner.agree: a stranger may make it."""

    TYPE: ClassVar = MessageType.AGREE
    proposal: Proposal

    def wire(self) -> Wire:
        proposal = self.proposal
        return {
            "token": proposal.token,
            "given": proposal.given,
            "taken": proposal.taken,
            "name": proposal.name,
            "addresses": proposal.addresses,
            "start": proposal.start,
            "signature": proposal.signature,
            "uptime": proposal.uptime or None,
        }, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(
            Proposal(
                token=fields.octets("token", ID_SIZE),
                given=fields.whole("given", U63),
                taken=fields.whole("taken", U63),
                name=fields.text("name"),
                addresses=fields.names("addresses", MAX_ADDRESSES, MAX_TEXT),
                start=fields.whole("start", U63),
                signature=fields.octets("signature", SIGNATURE_SIZE),
                uptime=fields.text("uptime") if fields.has("uptime") else "",
            )
        )


@dataclass(frozen=True, slots=True)
class Renew:
    """Partner.renew: a stranger may make it too."""

    TYPE: ClassVar = MessageType.RENEW
    renewal: Renewal

    def wire(self) -> Wire:
        renewal = self.renewal
        return {
            "text": renewal.text,
            "mine": renewal.mine,
            "yours": renewal.yours,
            "name": renewal.name,
            "addresses": renewal.addresses,
        }, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(
            Renewal(
                text=fields.octets_between("text", *AGREEMENT_SIZES),
                mine=fields.octets("mine", SIGNATURE_SIZE),
                yours=fields.octets("yours", SIGNATURE_SIZE),
                name=fields.text("name"),
                addresses=fields.names("addresses", MAX_ADDRESSES, MAX_TEXT),
            )
        )


@dataclass(frozen=True, slots=True)
class Amend:
    """Partner.amend."""

    TYPE: ClassVar = MessageType.AMEND
    amendment: Amendment

    def wire(self) -> Wire:
        amendment = self.amendment
        return {"before": amendment.before, "text": amendment.text, "signature": amendment.signature}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(
            Amendment(
                before=fields.octets_between("before", *AGREEMENT_SIZES),
                text=fields.octets_between("text", *AGREEMENT_SIZES),
                signature=fields.octets("signature", SIGNATURE_SIZE),
            )
        )


@dataclass(frozen=True, slots=True)
class Leave:
    """Partner.leave: from who has no agreement it changes nothing. text: of the agreement."""

    TYPE: ClassVar = MessageType.LEAVE
    text: bytes

    def wire(self) -> Wire:
        return {"text": self.text}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(fields.octets_between("text", *AGREEMENT_SIZES))


@dataclass(frozen=True, slots=True)
class Offer:
    """Partner.offer: a stranger may make it; the signed announcement is the body."""

    TYPE: ClassVar = MessageType.OFFER
    announcement: bytes

    def wire(self) -> Wire:
        return {}, self.announcement

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        return cls(bytes(bounded(body, MAX_ANNOUNCEMENT)))


@dataclass(frozen=True, slots=True)
class TellStep:
    """Partner.step: a stranger may make it; the signed announcement of one is the body."""

    TYPE: ClassVar = MessageType.STEP
    word: StepWord

    def wire(self) -> Wire:
        word = self.word
        told = {"id": word.id, "newcomer": word.newcomer, "fellow": word.fellow, "state": word.state}
        return told, word.announcement

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        return cls(
            StepWord(
                id=fields.octets("id", ID_SIZE),
                newcomer=NodeKey(fields.octets("newcomer", KEY_SIZE)),
                fellow=NodeKey(fields.octets("fellow", KEY_SIZE)),
                state=fields.whole("state", max(Step)),
                announcement=bytes(bounded(body, MAX_ANNOUNCEMENT)),
            )
        )


@dataclass(frozen=True, slots=True)
class GrantReading:
    """Partner.grant."""

    TYPE: ClassVar = MessageType.GRANT
    grant: Grant

    def wire(self) -> Wire:
        grant = self.grant
        return {"disk": grant.disk, "store": grant.store, "reader": grant.reader, "until": grant.until}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(
            Grant(
                disk=DiskId(fields.octets("disk", ID_SIZE)),
                store=StoreId(fields.octets("store", ID_SIZE)),
                reader=NodeKey(fields.octets("reader", KEY_SIZE)),
                until=fields.whole("until", U63),
            )
        )


@dataclass(frozen=True, slots=True)
class Ping:
    """I am here. Sent after a silence of one's own."""

    TYPE: ClassVar = MessageType.PING

    def wire(self) -> Wire:
        return {}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls()


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last message of a side: why it closes. It has no answer."""

    TYPE: ClassVar = MessageType.GOODBYE
    reason: str

    def wire(self) -> Wire:
        return {"reason": printable(self.reason)}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(fields.text("reason"))
