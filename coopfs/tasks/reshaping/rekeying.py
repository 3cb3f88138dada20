"""The disk gets a new read key, for all that is written from then on (design R1, R14).

1. the key is drawn and saved here, and seals nothing yet;
2. when a kit that has it was exported, the master block names it, with the first version that it will seal: KEY_LEAP
   beyond all that were given, so that what is sealed meanwhile is sealed with the key before;
3. when that block is known widely (spreading.py), versions go on from there: whoever restores knows by which key to
   open what he finds, and has it;
4. an older key is in use as long as a row is taken by a stripe that it sealed. When none is, and the floor has
   followed, the master block names it no more; when that block is known widely, it is forgotten. Kits have it until
   then, or one that was exported just now could open no master block but the newest.

A crash anywhere: where it stands is what the file of keys, the master block and the versions say.
"""

import logging
from collections.abc import Callable, Iterable
from math import inf

import trio

from coopfs.core.keys import DiskKeys, KeyAge, ReadKey
from coopfs.errors import HomeError, UsageError
from coopfs.limits import AWAY_CHECK, KEY_LEAP, MAX_KEY_ID, MAX_KEY_IDS
from coopfs.local.kitrecord import MUST_EXPORT
from coopfs.local.log import Log
from coopfs.local.rekeymark import RekeyMark
from coopfs.tasks.reshaping.spreading import Spreading
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.keeper import MasterKeeper

logger = logging.getLogger(__name__)


class Rekeying:
    """save: makes the file of these keys durable; moved: more is held, and rows may be free."""

    def __init__(
        self,
        keys: DiskKeys,
        save: Callable[[DiskKeys], None],
        mark: RekeyMark,
        keeper: MasterKeeper,
        spreading: Spreading,
        log: Log,
        moved: Signal,
    ) -> None:
        self._keys = keys
        self._save = save
        self.mark = mark
        self._keeper = keeper
        self._spreading = spreading
        self._log = log
        self._moved = moved
        self.changed = Signal()  # something was asked for, or reached

    def begin(self, secret: bytes, everything: bool) -> int:
        """A new key, of 32 random bytes; the id that it gets. everything: what older keys sealed is written again with
        it; durable with the next commit. UsageError: one is under way already, or there are too many. HomeError."""
        if self.pending is not None:
            raise UsageError(f"key {self.pending} waits for a kit already: export one with coopfs kit export FILE")
        if not self._is_turned:
            raise UsageError(f"key {self._keys.newest} is not in use yet ({self.hindrance()}): coopfs status tells")
        if len(self._keys.secrets) >= MAX_KEY_IDS or self._keys.newest >= MAX_KEY_ID:
            raise UsageError("this disk has had too many keys: what the oldest sealed must go first (--all)")
        new = ReadKey(self._keys.newest + 1, secret)
        self._change((*self._keys.secrets, new))
        if everything:
            self.mark.want_everything(new.id)
        self.changed.notify()
        return new.id

    def carry(self, key: int) -> None:
        """A kit with this key, and all older ones, is in its owner's hands. Durable with the next commit. UsageError:
        there is no such key."""
        if key > self._keys.newest:
            raise UsageError(f"this disk has no key {key}")
        self.mark.carry(key)
        self.changed.notify()

    @property
    def pending(self) -> int | None:
        """Id of the key that no kit in its owner's hands has yet. None: all have been handed out."""
        newest = self._keys.newest
        return newest if newest > max(self._keys.ages[-1].id, self.mark.carried) else None

    @property
    def _is_named(self) -> bool:
        return self._keys.ages[-1].id == self._keys.newest

    @property
    def _is_turned(self) -> bool:
        """Whether the newest key seals what is written from now on."""
        return self._is_named and self._log.newest_version + 1 >= self._keys.ages[-1].first

    @property
    def is_done(self) -> bool:
        """Whether there is one key, and no other."""
        return self._is_turned and len(self._keys.secrets) == 1

    @property
    def wish(self) -> int:
        """Id of the key with which what older ones sealed is still to be written again; 0: of none."""
        return self.mark.everything if self.mark.everything > self._keys.ages[0].id else 0

    @property
    def moves_below(self) -> int | None:
        """What is of a version below this is to be written again. None: nothing."""
        wanted = [age.first for age in self._keys.ages[1:] if age.id <= self.mark.everything]
        return wanted[-1] if wanted and self._log.newest_version + 1 >= wanted[-1] else None

    def bytes_left(self) -> int | None:
        """Bytes that are to be written again. None: nothing is."""
        version = self.moves_below
        return None if version is None else self.mark.older_bytes(version)

    def hindrance(self) -> str | None:
        """Why the newest key is not in use, in words. None: it is."""
        if self.pending is not None:
            return f"{MUST_EXPORT} that has it"
        return None if self._is_turned else self._spreading.hindrance() or "the master block must name it"

    async def run(self) -> None:
        """Bring what was begun about, for ever. StateError: the database failed."""
        while True:
            await self.changed.wait_until(lambda: not self.is_done)
            with changes(self.changed, self._keeper.changed, self._moved) as changed:
                await self._keeper.rekey(self._named)
                self._turn()
                await self._drop()
                self._forget()
                with trio.move_on_after(AWAY_CHECK if self._waits_for_partners() else inf):
                    await changed.wait()

    def _waits_for_partners(self) -> bool:
        """Who is away for long does not count any more, of which nobody tells."""
        return self.pending is None and (not self._is_turned or len(self._keys.secrets) > len(self._keys.ages))

    def _named(self) -> tuple[KeyAge, ...] | None:
        if self._is_named or self.pending is not None:
            return None
        return (*self._keys.ages, KeyAge(self._keys.newest, self._log.newest_version + KEY_LEAP))

    def _turn(self) -> None:
        if self._is_named and not self._is_turned and self._spreading.hindrance() is None:
            self._log.versions.skip_to(self._keys.ages[-1].first)
            self.changed.notify()

    async def _drop(self) -> None:
        """The oldest key, when every state that can be asked for was sealed without it."""
        if len(self._keys.ages) > 1 and not self._is_needed():
            floor = await self._keeper.move_floor()
            first = self._keys.ages[1].first
            await self._keeper.rekey(lambda: self._keys.ages[1:] if floor.version >= first else None)

    def _is_needed(self) -> bool:
        return not self._is_turned or self.mark.has_older(self._keys.ages[1].first)

    def _forget(self) -> None:
        """Keys that no master block in force names."""
        kept = tuple(key for key in self._keys.secrets if key.id >= self._keys.ages[0].id)
        if kept != self._keys.secrets and self._spreading.hindrance() is None:
            try:
                self._change(kept)
            except HomeError as trouble:  # it does no harm where it is
                logger.warning("an old key cannot be removed yet: %s", trouble)
            else:
                self.changed.notify()

    def _change(self, secrets: Iterable[ReadKey]) -> None:
        """Save, then use."""
        changed = self._keys.with_secrets(secrets)
        self._save(changed)
        self._keys.know(changed.secrets)
