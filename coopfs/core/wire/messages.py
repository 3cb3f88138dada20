"""Requests and answers to frames and back (design R16): the one place where message numbers meet their classes."""

from coopfs.core.wire.address_requests import TellAddresses
from coopfs.core.wire.answers import Agreed, Answer, Done, Got, Masters, OpenedStore, Settled, Slots, Stepped, Welcomed
from coopfs.core.wire.faults import decode_error, encode_error
from coopfs.core.wire.frames import Flag, Frame
from coopfs.core.wire.message_map import Fields, pack_map
from coopfs.core.wire.message_types import MessageType, bounded
from coopfs.core.wire.node_requests import (
    Agree,
    Amend,
    ClaimEpoch,
    GetMasters,
    Goodbye,
    GrantReading,
    Hello,
    Leave,
    Offer,
    Ping,
    PutMaster,
    Renew,
    TellStep,
)
from coopfs.core.wire.relay_requests import Call, DialNode, WaitForCall
from coopfs.core.wire.store_requests import Close, Get, Inventory, Open, Put, Resize
from coopfs.errors import CoopfsError, PeerError, ProtocolError

StoreRequest = Close | Put | Get | Inventory | Resize
Agreeing = Agree | Renew | Amend | Leave | Offer | TellStep
NodeRequest = ClaimEpoch | GetMasters | PutMaster | GrantReading | TellAddresses | Agreeing
RelayRequest = WaitForCall | DialNode | Call
Request = Hello | Open | StoreRequest | NodeRequest | RelayRequest | Ping | Goodbye

REQUESTS: dict[int, type[Request]] = {
    MessageType.HELLO: Hello,
    MessageType.OPEN: Open,
    MessageType.CLOSE: Close,
    MessageType.PUT: Put,
    MessageType.GET: Get,
    MessageType.INVENTORY: Inventory,
    MessageType.RESIZE: Resize,
    MessageType.CLAIM: ClaimEpoch,
    MessageType.MASTER_GET: GetMasters,
    MessageType.MASTER_PUT: PutMaster,
    MessageType.GRANT: GrantReading,
    MessageType.AGREE: Agree,
    MessageType.RENEW: Renew,
    MessageType.AMEND: Amend,
    MessageType.LEAVE: Leave,
    MessageType.ADDRESSES: TellAddresses,
    MessageType.RELAY_WAIT: WaitForCall,
    MessageType.RELAY_DIAL: DialNode,
    MessageType.RELAY_CALL: Call,
    MessageType.OFFER: Offer,
    MessageType.STEP: TellStep,
    MessageType.PING: Ping,
    MessageType.GOODBYE: Goodbye,
}
# HELLO, PING and GOODBYE have no answer.
ANSWERS: dict[int, type[Answer]] = {
    MessageType.OPEN: OpenedStore,
    MessageType.CLOSE: Done,
    MessageType.PUT: Done,
    MessageType.GET: Got,
    MessageType.INVENTORY: Slots,
    MessageType.RESIZE: Done,
    MessageType.CLAIM: Done,
    MessageType.MASTER_GET: Masters,
    MessageType.MASTER_PUT: Done,
    MessageType.GRANT: Done,
    MessageType.AGREE: Agreed,
    MessageType.RENEW: Done,
    MessageType.AMEND: Settled,
    MessageType.LEAVE: Done,
    MessageType.ADDRESSES: Done,
    MessageType.RELAY_WAIT: Done,
    MessageType.RELAY_DIAL: Done,
    MessageType.RELAY_CALL: Done,
    MessageType.OFFER: Welcomed,
    MessageType.STEP: Stepped,
}


def encode_request(request: Request, number: int) -> Frame:
    """number: the request id, unique among this side's unanswered requests."""
    fields, body = request.wire()
    return Frame(request.TYPE, Flag.REQUEST, number, pack_map(fields), body)


def decode_request(frame: Frame) -> Request | None:
    """None: a type that this version does not know, to be answered "unsupported". ProtocolError: a bad map or body."""
    assert frame.flag is Flag.REQUEST
    kind = REQUESTS.get(frame.type)
    return kind.parse(Fields.unpack(frame.map), frame.body) if kind else None


def encode_answer(frame: Frame, answer: Answer) -> Frame:
    """The answer to the request that came in `frame`."""
    assert type(answer) is ANSWERS[frame.type]
    fields, body = answer.wire()
    return Frame(frame.type, Flag.ANSWER, frame.request, pack_map(fields), body)


def encode_refusal(frame: Frame, error: CoopfsError) -> Frame:
    """The error answer to the request that came in `frame`."""
    return Frame(frame.type, Flag.ERROR, frame.request, encode_error(error))


def decode_answer(frame: Frame) -> Answer | PeerError:
    """The answer, or the error that the partner answered with. ProtocolError: a bad map or body."""
    fields = Fields.unpack(frame.map)
    if frame.flag is Flag.ERROR:
        bounded(frame.body, 0)
        return decode_error(fields)
    kind = ANSWERS.get(frame.type)
    if kind is None:
        raise ProtocolError(f"the peer sent an answer of type {frame.type}, which has none")
    return kind.parse(fields, frame.body)
