"""Groups: the unit of prefix (design R3). One is open; the others are on their way to the partners."""

from dataclasses import dataclass
from enum import IntEnum

from coopfs.limits import GROUP_AGE, GROUP_IMAGES
from coopfs.local.database import Database


class State(IntEnum):
    """How far a group has got; it only ever goes up."""

    OPEN = 0
    CLOSED = 1
    SEALED = 2  # its meta stripes are sealed
    WRITTEN = 3  # its END is; how far it got after that follows from the barrier


@dataclass(frozen=True, slots=True)
class Group:
    """A row of groups (see schema). Times in wall seconds since 1970."""

    id: int
    state: State
    opened_at: int | None
    closed_at: int | None
    images: int
    bytes: int


def should_close(age: float, images: int, content_bytes: int, most_bytes: int) -> bool:
    """Whether an open group is big or old enough. age: seconds since its first change."""
    return age >= GROUP_AGE or images >= GROUP_IMAGES or content_bytes >= most_bytes


class Groups:
    """The groups table."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def open(self) -> Group:
        """The open group: there is always one."""
        (group,) = self.of_state(State.OPEN)
        return group

    def get(self, group: int) -> Group | None:
        found = self._select("id = ?", (group,))
        return found[0] if found else None

    def of_state(self, state: State) -> list[Group]:
        """All groups in this state, oldest first."""
        return self._select("state = ? ORDER BY id", (state,))

    def next_closed(self, group: int) -> Group | None:
        """The first one after this that is not open."""
        found = self._select("id > ? AND state <> ? ORDER BY id LIMIT 1", (group, State.OPEN))
        return found[0] if found else None

    def start(self, group: int) -> None:
        self._db.write("INSERT INTO groups (id, state) VALUES (?, ?)", (group, State.OPEN))

    def note_change(self, group: int, now: int, content_bytes: int) -> None:
        """The open group changed. now: wall seconds."""
        self._db.write(
            "UPDATE groups SET opened_at = coalesce(opened_at, ?), bytes = ? WHERE id = ?", (now, content_bytes, group)
        )

    def close(self, group: int, now: int) -> None:
        self._db.write(
            "UPDATE groups SET state = ?, closed_at = ?, images = (SELECT count(*) FROM open_images WHERE grp = ?)"
            " WHERE id = ?",
            (State.CLOSED, now, group, group),
        )

    def _select(self, where: str, values: tuple[int, ...]) -> list[Group]:
        rows = self._db.read(f"SELECT id, state, opened_at, closed_at, images, bytes FROM groups WHERE {where}", values)
        return [Group(id_, State(state), *rest) for id_, state, *rest in rows.fetchall()]
