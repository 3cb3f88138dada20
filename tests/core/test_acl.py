"""ACLs: the form that Linux passes, and the rules of POSIX.1e for modes and inheritance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.acl import ACCESS, DEFAULT, Acl, Entry, Tag, born, checked, parse
from coopfs.errors import InvalidAcl

# `setfacl -m u:1000:rwx,g:70000:r-x` on a file of mode 0640, as ext4 gives it back
GOLDEN = bytes.fromhex(
    "0200000001000600ffffffff02000700e803000004000400ffffffff080005007011010010000700ffffffff20000000ffffffff"
)

perms = st.integers(0, 7)
ids = st.lists(st.integers(0, (1 << 32) - 2), max_size=3)
modes = st.integers(0, 0o7777)


@st.composite
def acls(draw: st.DrawFn) -> Acl:
    users, groups = draw(ids), draw(ids)
    masked = users or groups or draw(st.booleans())
    return checked(
        (
            Entry(Tag.OWNER, draw(perms)),
            *(Entry(Tag.USER, draw(perms), user) for user in users),
            Entry(Tag.OWNING_GROUP, draw(perms)),
            *(Entry(Tag.GROUP, draw(perms), group) for group in groups),
            *([Entry(Tag.MASK, draw(perms))] if masked else []),
            Entry(Tag.OTHER, draw(perms)),
        )
    )


def test_the_form_is_that_of_linux() -> None:
    acl = Acl.decode(GOLDEN)
    assert acl.entries == (
        Entry(Tag.OWNER, 6),
        Entry(Tag.USER, 7, 1000),
        Entry(Tag.OWNING_GROUP, 4),
        Entry(Tag.GROUP, 5, 70_000),
        Entry(Tag.MASK, 7),
        Entry(Tag.OTHER, 0),
    )
    assert acl.encode() == GOLDEN
    assert (acl.mode, acl.is_minimal) == (0o670, False)


@given(acls())
def test_what_is_encoded_comes_back(acl: Acl) -> None:
    assert Acl.decode(acl.encode()) == acl
    without_ids = acl.encode().replace(b"\xff\xff\xff\xff", b"\0\0\0\0")
    assert Acl.decode(without_ids) == acl, "an id where none counts is overlooked"


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: GOLDEN[:20] + tail))
def test_any_bytes_are_an_acl_or_refused(value: bytes) -> None:
    try:
        entries = parse(value)
        acl = checked(entries)
    except InvalidAcl:
        return
    assert Acl.decode(acl.encode()) == acl


@pytest.mark.parametrize(
    "entries",
    [
        [(1, 7), (4, 7)],  # no others
        [(4, 7), (0x20, 7)],
        [(1, 7), (0x20, 7)],
        [(1, 7), (1, 7), (4, 7), (0x20, 7)],
        [(4, 7), (1, 7), (0x20, 7)],  # not in order
        [(1, 7), (2, 7), (4, 7), (0x20, 7)],  # a named user and no mask
        [(1, 7), (4, 7), (8, 7), (0x20, 7)],
        [(1, 7), (4, 7), (0x10, 7), (0x10, 7), (0x20, 7)],
        [(1, 8), (4, 7), (0x20, 7)],
    ],
)
def test_lists_that_make_no_sense_are_refused(entries: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidAcl):
        checked(tuple(Entry(Tag(tag), perm, 5 if tag in (2, 8) else (1 << 32) - 1) for tag, perm in entries))


@pytest.mark.parametrize("value", [b"\2\0\0", b"\1\0\0\0", GOLDEN[:-1], GOLDEN[:4] + b"\3" + GOLDEN[5:]])
def test_other_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(InvalidAcl):
        parse(value)


def test_no_entries_mean_none() -> None:
    assert parse(b"") == parse(b"\2\0\0\0") == ()


@given(acls(), modes)
def test_after_chmod_the_acl_shows_the_mode_and_named_entries_stay(acl: Acl, mode: int) -> None:
    changed = acl.with_mode(mode)
    assert changed.mode == mode & 0o777
    kept = {Tag.USER, Tag.GROUP} | ({Tag.OWNING_GROUP} if not acl.is_minimal else set())
    assert [e for e in changed.entries if e.tag in kept] == [e for e in acl.entries if e.tag in kept]


@given(acls(), modes, st.integers(0, 0o777), st.booleans())
def test_what_is_born_has_what_both_allow(default: Acl, mode: int, umask: int, is_directory: bool) -> None:
    birth = born(mode, umask, default, is_directory)
    assert birth.mode == mode & (default.mode | ~0o777), "and the umask does not count"
    xattrs = dict(birth.xattrs)
    assert (ACCESS in xattrs) == (not default.is_minimal)
    if ACCESS in xattrs:
        assert Acl.decode(xattrs[ACCESS]).mode == birth.mode & 0o777
    assert xattrs.get(DEFAULT) == (default.encode() if is_directory else None)


@given(modes, st.integers(0, 0o7777), st.booleans())
def test_without_a_default_acl_the_umask_counts(mode: int, umask: int, is_directory: bool) -> None:
    birth = born(mode, umask, None, is_directory)
    assert (birth.mode, birth.xattrs) == (mode & ~(umask & 0o777), ())
