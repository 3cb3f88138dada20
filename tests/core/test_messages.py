"""Messages: golden encodings, strict decoding, arbitrary bytes."""

import contextlib
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.wire.address_requests import TellAddresses
from coopfs.core.wire.answers import Agreed, Answer, Done, Got, Masters, OpenedStore, Settled, Slots, Stepped, Welcomed
from coopfs.core.wire.faults import Unsupported, encode_error
from coopfs.core.wire.frames import Flag, Frame
from coopfs.core.wire.message_map import pack_map, printable
from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.messages import (
    ANSWERS,
    REQUESTS,
    Request,
    decode_answer,
    decode_request,
    encode_answer,
    encode_refusal,
    encode_request,
)
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
from coopfs.errors import (
    BlockRefused,
    CoopfsError,
    Fenced,
    HomeError,
    NoAgreement,
    NotAuthentic,
    PartnerAway,
    PeerError,
    ProtocolError,
    Refused,
    StoreGone,
)
from coopfs.limits import INVENTORY_PAGE, MAX_BLOCK_SIZE, MAX_MAP, MAX_REQUESTS, MAX_TEXT
from coopfs.types import (
    Amendment,
    Claim,
    DiskId,
    Grant,
    Master,
    NodeKey,
    Opened,
    Opening,
    Proposal,
    Renewal,
    Settlement,
    Slot,
    StepAnswer,
    StepWord,
    StoredBlock,
    StoreId,
    StoreSpec,
    Welcome,
)

DISK, STORE = DiskId(b"d" * 16), StoreId(b"s" * 16)
CLAIM = Claim(DISK, 1, b"c" * 16, 1_700_000_000, b"k" * 32, b"g" * 64)
PROPOSAL = Proposal(b"t" * 16, 1 << 30, 2 << 30, "höme", ("a.example:7100",), 1_700_000_000, b"p" * 64)
VERSION = (1 << 48) + 5

EXAMPLES: list[Request] = [
    Hello(b"i" * 16, 0, 2, True, ("one",), ("two",), ("three",)),
    Open(Opening(DISK, STORE)),
    Open(Opening(DISK, STORE, CLAIM, StoreSpec(100, 65536))),
    Close(3),
    Put(3, 7, VERSION, b"block"),
    Put(3, 7, VERSION, b"block", 2),
    Get(3, 7),
    Inventory(3, 8, 100),
    Resize(3, 1000),
    ClaimEpoch(CLAIM),
    GetMasters(DISK),
    PutMaster(CLAIM, Master(VERSION, b"master")),
    GrantReading(Grant(DISK, STORE, NodeKey(b"r" * 32), 1_800_000_000)),
    Agree(PROPOSAL),
    Agree(replace(PROPOSAL, uptime="mon-fri 08:00-18:00 Europe/Paris")),
    Renew(Renewal(b"t" * 113, b"m" * 64, b"y" * 64, "host", ("a.example:7100",))),
    Leave(b"t" * 113),
    Amend(Amendment(b"b" * 113, b"t" * 120, b"p" * 64)),
    TellAddresses(("a.example:7100", "relay/r.example:7531"), "192.0.2.1"),
    TellAddresses(()),
    WaitForCall(),
    DialNode(NodeKey(b"n" * 32)),
    Call(),
    Offer(b"announcement"),
    TellStep(StepWord(b"i" * 16, NodeKey(b"n" * 32), NodeKey(b"f" * 32), 0, b"announcement")),
    Ping(),
    Goodbye("shutting down"),
]
ANSWER_EXAMPLES: list[tuple[MessageType, Answer]] = [
    (MessageType.OPEN, OpenedStore(3, Opened(100, 65536, 5, b"h" * 16, 1, b"c" * 16))),
    (MessageType.PUT, Done()),
    (MessageType.GET, Got(StoredBlock(VERSION, b"block"))),
    (MessageType.GET, Got(None)),
    (MessageType.INVENTORY, Slots((Slot(7, VERSION, 4096), Slot(9, VERSION + 1, 8192)))),
    (MessageType.MASTER_GET, Masters((Master(VERSION, b"master"), Master(VERSION + 1, b"newer")))),
    (MessageType.AGREE, Agreed(b"p" * 64)),
    (MessageType.AMEND, Settled(Settlement(b"t" * 113, b"m" * 64, b"y" * 64))),
    (MessageType.OFFER, Welcomed(Welcome(b"t" * 16, 1 << 30, 2 << 30, "host", ("a.example:7100",)))),
    (MessageType.STEP, Stepped(StepAnswer(2))),
    (MessageType.STEP, Stepped(StepAnswer(3, Welcome(b"t" * 16, 1 << 30, 2 << 30, "host", ())))),
]
ERROR_EXAMPLES: list[CoopfsError] = [
    Refused("no agreement"),
    BlockRefused("newer", VERSION),
    Fenced("claimed", 2, b"c" * 16),
    NotAuthentic("bad claim"),
    Unsupported("type 6"),
    PartnerAway("disk full"),
    StoreGone("lost"),
    NoAgreement("none"),
]
GOLDEN_REQUESTS = [  # map of each example; bodies are what the example says
    (
        "87ab696e6361726e6174696f6ec41069696969696969696969696969696969a66c6f7765737400a76869676865737402a673"
        "6572766573c3aa636f6d70617469626c6591a36f6e65af726561645f636f6d70617469626c6591a374776fac696e636f6d70"
        "617469626c6591a57468726565"
    ),
    ("82a46469736bc41064646464646464646464646464646464a573746f7265c41073737373737373737373737373737373"),
    (
        "84a46469736bc41064646464646464646464646464646464a573746f7265c41073737373737373737373737373737373a563"
        "6c61696d86a46469736bc41064646464646464646464646464646464a565706f636801a7636c61696d6572c4106363636363"
        "6363636363636363636363a474696d65ce6553f100a36b6579c4206b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b"
        "6b6b6b6b6b6b6b6b6ba97369676e6174757265c4406767676767676767676767676767676767676767676767676767676767"
        "6767676767676767676767676767676767676767676767676767676767676767676767a663726561746582a4726f777364aa"
        "626c6f636b5f73697a65ce00010000"
    ),
    "81a573746f726503",
    "83a573746f726503a3726f7707a776657273696f6ecf0001000000000005",
    "84a573746f726503a3726f7707a776657273696f6ecf0001000000000005a46d6f726502",
    "82a573746f726503a3726f7707",
    "83a573746f726503a966697273745f726f7708a56c696d697464",
    "82a573746f726503a4726f7773cd03e8",
    (
        "86a46469736bc41064646464646464646464646464646464a565706f636801a7636c61696d6572c410636363636363636363"
        "63636363636363a474696d65ce6553f100a36b6579c4206b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b"
        "6b6b6b6b6ba97369676e6174757265c440676767676767676767676767676767676767676767676767676767676767676767"
        "67676767676767676767676767676767676767676767676767676767676767"
    ),
    "81a46469736bc41064646464646464646464646464646464",
    (
        "82a5636c61696d86a46469736bc41064646464646464646464646464646464a565706f636801a7636c61696d6572c4106363"
        "6363636363636363636363636363a474696d65ce6553f100a36b6579c4206b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b"
        "6b6b6b6b6b6b6b6b6b6b6b6ba97369676e6174757265c4406767676767676767676767676767676767676767676767676767"
        "6767676767676767676767676767676767676767676767676767676767676767676767676767a7636f756e746572cf000100"
        "0000000005"
    ),
    (
        "84a46469736bc41064646464646464646464646464646464a573746f7265c41073737373737373737373737373737373a672"
        "6561646572c4207272727272727272727272727272727272727272727272727272727272727272a5756e74696cce6b49d200"
    ),
    (
        "87a5746f6b656ec41074747474747474747474747474747474a5676976656ece40000000a574616b656ece80000000a46e61"
        "6d65a568c3b66d65a961646472657373657391ae612e6578616d706c653a37313030a57374617274ce6553f100a97369676e"
        "6174757265c44070707070707070707070707070707070707070707070707070707070707070707070707070707070707070"
        "707070707070707070707070707070707070707070"
    ),
    (
        "88a5746f6b656ec41074747474747474747474747474747474a5676976656ece40000000a574616b656ece80000000a46e61"
        "6d65a568c3b66d65a961646472657373657391ae612e6578616d706c653a37313030a57374617274ce6553f100a97369676e"
        "6174757265c44070707070707070707070707070707070707070707070707070707070707070707070707070707070707070"
        "707070707070707070707070707070707070707070"
        "a6757074696d65d9206d6f6e2d6672692030383a30302d31383a3030204575726f70652f5061726973"
    ),
    (
        "85a474657874c471747474747474747474747474747474747474747474747474747474747474747474747474747474747474"
        "7474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474"
        "747474747474747474747474747474747474747474a46d696e65c4406d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d"
        "6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6da5796f757273c440"
        "7979797979797979797979797979797979797979797979797979797979797979797979797979797979797979797979797979"
        "7979797979797979797979797979a46e616d65a4686f7374a961646472657373657391ae612e6578616d706c653a37313030"
    ),
    (
        "81a474657874c471747474747474747474747474747474747474747474747474747474747474747474747474747474747474"
        "7474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474"
        "747474747474747474747474747474747474747474"
    ),
    (
        "83a66265666f7265c47162626262626262626262626262626262626262626262626262626262626262626262626262626262"
        "6262626262626262626262626262626262626262626262626262626262626262626262626262626262626262626262626262"
        "6262626262626262626262626262626262626262626262a474657874c4787474747474747474747474747474747474747474"
        "7474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474"
        "7474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474"
        "a97369676e6174757265c4407070707070707070707070707070707070707070707070707070707070707070707070707070"
        "7070707070707070707070707070707070707070707070707070"
    ),
    (
        "82a961646472657373657392ae612e6578616d706c653a37313030b472656c61792f722e6578616d706c653a37353331a473"
        "65656ea93139322e302e322e31"
    ),
    "81a961646472657373657390",
    "80",
    "81a46e6f6465c4206e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e",
    "80",
    "80",
    (
        "84a26964c41069696969696969696969696969696969a86e6577636f6d6572c4206e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e"
        "6e6e6e6e6e6e6e6e6e6e6e6e6e6e6ea666656c6c6f77c4206666666666666666666666666666666666666666666666666666"
        "666666666666a5737461746500"
    ),
    "80",
    "81a6726561736f6ead7368757474696e6720646f776e",
]
GOLDEN_ANSWERS = [  # map, body
    (
        (
            "87a573746f726503a4726f777364aa626c6f636b5f73697a65ce00010000a76368616e67657305a6646967657374c4106868"
            "6868686868686868686868686868a565706f636801a7636c61696d6572c41063636363636363636363636363636363"
        ),
        "",
    ),
    ("80", ""),
    ("81a776657273696f6ecf0001000000000005", "626c6f636b"),
    ("81a5656d707479c3", ""),
    ("80", "0000000700010000000000050000100000000009000100000000000600002000"),
    ("82a8636f756e7465727392cf0001000000000005cf0001000000000006a76c656e67746873920605", "6d61737465726e65776572"),
    (
        (
            "81a97369676e6174757265c44070707070707070707070707070707070707070707070707070707070707070707070707070"
            "707070707070707070707070707070707070707070707070707070"
        ),
        "",
    ),
    (
        (
            "83a474657874c471747474747474747474747474747474747474747474747474747474747474747474747474747474747474"
            "7474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474"
            "747474747474747474747474747474747474747474a46d696e65c4406d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d"
            "6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6da5796f757273c440"
            "7979797979797979797979797979797979797979797979797979797979797979797979797979797979797979797979797979"
            "7979797979797979797979797979"
        ),
        "",
    ),
    (
        (
            "85a5746f6b656ec41074747474747474747474747474747474a5676976656ece40000000a574616b656ece80000000a46e61"
            "6d65a4686f7374a961646472657373657391ae612e6578616d706c653a37313030"
        ),
        "",
    ),
    ("81a5737461746502", ""),
    (
        (
            "86a5737461746503a5746f6b656ec41074747474747474747474747474747474a5676976656ece40000000a574616b656ece"
            "80000000a46e616d65a4686f7374a961646472657373657390"
        ),
        "",
    ),
]
GOLDEN_ERRORS = [
    "82a4636f646501a474657874ac6e6f2061677265656d656e74",
    "83a4636f646502a474657874a56e65776572a776657273696f6ecf0001000000000005",
    ("84a4636f646503a474657874a7636c61696d6564a565706f636802a7636c61696d6572c41063636363636363636363636363636363"),
    "82a4636f646504a474657874a962616420636c61696d",
    "82a4636f646505a474657874a6747970652036",
    "82a4636f646506a474657874a96469736b2066756c6c",
    "82a4636f646507a474657874a46c6f7374",
    "82a4636f646508a474657874a46e6f6e65",
]


def asked(kind: MessageType) -> Frame:
    return Frame(kind, Flag.REQUEST, 9, b"")


@pytest.mark.parametrize(("request_", "golden"), list(zip(EXAMPLES, GOLDEN_REQUESTS, strict=True)))
def test_golden_requests(request_: Request, golden: str) -> None:
    frame = encode_request(request_, 9)
    assert frame.map.hex() == golden
    assert (frame.type, frame.flag, frame.request) == (request_.TYPE, Flag.REQUEST, 9)
    assert decode_request(frame) == request_


@pytest.mark.parametrize(("example", "golden"), list(zip(ANSWER_EXAMPLES, GOLDEN_ANSWERS, strict=True)))
def test_golden_answers(example: tuple[MessageType, Answer], golden: tuple[str, str]) -> None:
    kind, answer = example
    frame = encode_answer(asked(kind), answer)
    assert (frame.map.hex(), frame.body.hex()) == golden
    assert (frame.type, frame.flag, frame.request) == (kind, Flag.ANSWER, 9)
    assert decode_answer(frame) == answer


@pytest.mark.parametrize(("error", "golden"), list(zip(ERROR_EXAMPLES, GOLDEN_ERRORS, strict=True)))
def test_golden_errors_come_back_as_what_they_were(error: CoopfsError, golden: str) -> None:
    frame = encode_refusal(asked(MessageType.PUT), error)
    assert frame.map.hex() == golden
    assert encode_error(error) == frame.map
    back = decode_answer(frame)
    assert type(back) is type(error)
    assert str(back) == str(error)
    for carried in ("stored_version", "epoch", "claimer"):
        assert getattr(back, carried, None) == getattr(error, carried, None)


def test_every_request_has_an_answer_but_those_that_only_tell() -> None:
    assert set(REQUESTS) - set(ANSWERS) == {MessageType.HELLO, MessageType.PING, MessageType.GOODBYE}
    assert set(ANSWERS) < set(REQUESTS)


def test_trouble_of_the_partner_itself_comes_back_as_away() -> None:
    frame = encode_refusal(asked(MessageType.PUT), HomeError("the disk is full"))
    assert isinstance(decode_answer(frame), PartnerAway)


def test_an_unknown_error_code_is_a_refusal() -> None:
    frame = Frame(MessageType.PUT, Flag.ERROR, 9, pack_map({"code": 999, "text": "from the future"}))
    back = decode_answer(frame)
    assert type(back) is Refused
    assert str(back) == "from the future"


def test_unknown_keys_are_ignored() -> None:
    frame = Frame(MessageType.GET, Flag.REQUEST, 9, pack_map({"store": 3, "row": 7, "colour": ["red", {"a": 1}]}))
    assert decode_request(frame) == Get(3, 7)


@pytest.mark.parametrize("kind", sorted(set(range(256)) - set(REQUESTS)))
def test_unknown_and_reserved_types_are_no_error(kind: int) -> None:
    assert decode_request(Frame(kind, Flag.REQUEST, 9, b"\xc1", b"whatever")) is None


@pytest.mark.parametrize(
    ("kind", "fields", "body"),
    [
        (MessageType.GET, {"store": 3}, b""),  # missing
        (MessageType.GET, {"store": 3, "row": -1}, b""),
        (MessageType.GET, {"store": 3, "row": 1 << 32}, b""),
        (MessageType.GET, {"store": 3, "row": 7.0}, b""),
        (MessageType.GET, {"store": 3, "row": True}, b""),
        (MessageType.GET, {"store": 3, "row": 7}, b"body"),
        (MessageType.PUT, {"store": 3, "row": 7, "version": 1}, bytes(MAX_BLOCK_SIZE + 1)),
        (MessageType.PUT, {"store": 3, "row": 7, "version": 1, "more": MAX_REQUESTS + 1}, b""),
        (MessageType.INVENTORY, {"store": 3, "first_row": 0, "limit": 0}, b""),
        (MessageType.INVENTORY, {"store": 3, "first_row": 0, "limit": INVENTORY_PAGE + 1}, b""),
        (MessageType.MASTER_GET, {"disk": b"short"}, b""),
        (MessageType.MASTER_GET, {"disk": "t" * 16}, b""),
        (MessageType.OPEN, {"disk": DISK, "store": STORE, "claim": 7}, b""),
        (MessageType.OPEN, {"disk": DISK, "store": STORE, "create": {"rows": 1}}, b""),
        (MessageType.ADDRESSES, {"addresses": ["a:1"] * 9}, b""),
        (MessageType.ADDRESSES, {"addresses": ["a" * 254 + ":1"]}, b""),
        (MessageType.ADDRESSES, {"addresses": ["a:1"], "seen": 7}, b""),
        (MessageType.GOODBYE, {"reason": "escape \x1b[31m"}, b""),
        (MessageType.GOODBYE, {"reason": "x" * (MAX_TEXT + 1)}, b""),
    ],
)
def test_strict_decoding_refuses(kind: MessageType, fields: dict[str, object], body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_request(Frame(kind, Flag.REQUEST, 9, pack_map(fields), body))


@pytest.mark.parametrize(
    "data", [b"", b"\x90", b"\xc0", b"\x80\x80", b"\x81\xa1a\xc7\x00\x05", b"\x82\xa1a\x01\xa1a\x02", b"\x81\x01\x02"]
)
def test_maps_that_are_none_or_ambiguous_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_request(Frame(MessageType.PING, Flag.REQUEST, 9, data))


def test_inventory_rows_must_ascend() -> None:
    slots = Slots((Slot(9, 1, 1), Slot(9, 2, 1)))
    with pytest.raises(ProtocolError):
        decode_answer(encode_answer(asked(MessageType.INVENTORY), slots))


def test_the_largest_messages_fit_the_limits() -> None:
    names = tuple("n" * 62 + f"{number:02}" for number in range(64))
    hello = Hello(b"i" * 16, 0, 0, True, names, names, names)
    proposal = Proposal(
        b"t" * 16, (1 << 63) - 1, (1 << 63) - 1, "n" * 1024, ("a" * 1024,) * 8, (1 << 63) - 1, b"p" * 64
    )
    for request in (hello, Agree(proposal)):
        frame = encode_request(request, (1 << 32) - 1)
        assert len(frame.map) <= MAX_MAP
        assert decode_request(frame) == request


scalars = st.none() | st.booleans() | st.integers(-1, (1 << 64) - 1) | st.binary(max_size=20) | st.text(max_size=9)
values = scalars | st.lists(scalars, max_size=3) | st.sampled_from([DISK, CLAIM.signing_key, CLAIM.signature])
KEYS = sorted(
    {key for example in EXAMPLES for key in example.wire()[0]} | {"empty", "counters", "lengths", "code", "text"}
)
maps = st.dictionaries(st.sampled_from(KEYS), values, max_size=8).map(msgpack.packb) | st.binary(max_size=60)


@given(st.integers(0, 255), st.sampled_from(Flag), maps, st.binary(max_size=100))
def test_arbitrary_bytes_cause_peer_errors_only(kind: int, flag: Flag, data: bytes, body: bytes) -> None:
    frame = Frame(kind, flag, 9, data, body)
    with contextlib.suppress(PeerError):
        if flag is Flag.REQUEST:
            decode_request(frame)
        else:
            decode_answer(frame)


@given(st.text(max_size=2000))
def test_any_text_becomes_printable_and_bounded(text: str) -> None:
    clean = printable(text)
    assert clean.isprintable()
    assert len(clean.encode()) <= MAX_TEXT
