"""ACLs as bytes, from a random number generator: good ones, those that a mode could say, and bad ones."""

from random import Random

from coopfs.core.acl import Acl, Entry, Tag

IDS = (0, 1000, 1001, 70_000)
BAD = [
    b"\2\0\0\0\1",  # cut off
    b"\3\0\0\0",  # another version
    b"\2\0\0",
    Acl((Entry(Tag.OWNER, 7), Entry(Tag.OWNING_GROUP, 7))).encode(),  # no others
    Acl((Entry(Tag.OWNER, 8), Entry(Tag.OWNING_GROUP, 7), Entry(Tag.OTHER, 0))).encode(),  # no such permission
    Acl((Entry(Tag.OWNING_GROUP, 7), Entry(Tag.OWNER, 7), Entry(Tag.OTHER, 0))).encode(),  # not in order
    Acl((Entry(Tag.OWNER, 7), Entry(Tag.USER, 7, 5), Entry(Tag.OWNING_GROUP, 7), Entry(Tag.OTHER, 0))).encode(),
]
NOTHING = [b"", b"\2\0\0\0"]  # each removes what is there


def random_acl(random: Random) -> bytes:
    """Bad ones seldom."""
    chance = random.random()
    if chance < 0.1:
        return random.choice(BAD)
    if chance < 0.2:
        return random.choice(NOTHING)
    users = sorted(random.sample(IDS, random.choice([0, 0, 1, 2])))
    groups = sorted(random.sample(IDS, random.choice([0, 0, 1, 2])))
    masked = users or groups or random.random() < 0.3

    def entry(tag: Tag, id_: int = 0) -> Entry:  # an id where none counts is to be overlooked
        return Entry(tag, random.randrange(8), id_)

    return Acl(
        (
            entry(Tag.OWNER),
            *(entry(Tag.USER, user) for user in users),
            entry(Tag.OWNING_GROUP),
            *(entry(Tag.GROUP, group) for group in groups),
            *([entry(Tag.MASK)] if masked else []),
            entry(Tag.OTHER),
        )
    ).encode()
