"""What a household writes on its disk, and what it was promised about that; over all its machines."""

from pathlib import Path
from random import Random

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.local.disk import STAGE
from coopfs.local.groups import Group
from tests.fs.operations import OurSide
from tests.sim.history import History
from tests.sim.picture import Camera, Picture
from tests.sim.trace import Violation
from tests.sim.work import Work


class _Elsewhere(dict[int, bytes]):
    """Content of stripes that are not on this machine any more."""

    def __missing__(self, stripe: int) -> bytes:
        raise Violation(f"content of stripe {stripe} is nowhere")


class Diary:
    """random: what is written."""

    def __init__(self, random: Random) -> None:
        self.history = History()
        self.held = 0  # the newest group that was ever held
        self._work = Work(random)
        self._elsewhere = _Elsewhere()
        self._own: OwnDisk
        self._side: OurSide
        self._camera: Camera

    def open(self, own: OwnDisk) -> None:
        """A process has opened the disk: it shows what it must (P3). Violation."""
        self._own = own
        self._side = OurSide(own.disk)
        self._side.evicted = self._elsewhere
        self._camera = Camera(own.disk, self._side.content)
        picture = self._camera.take()
        if self.history.moments:
            self.history.restart(own.local.metadata.group, picture)
        else:
            self.history.add(own.local.metadata.group, picture)
        own.committer.on_closed = self._close

    def _close(self, group: Group) -> None:
        self.history.close(group.id, self._camera.take())
        self._own.on_closed(group)

    async def write(self) -> None:
        """A few operations, and an fsync."""
        committer = self._own.committer
        for operation in self._work.next():
            if operation[0] == "write":
                await committer.until_may_append(len(operation[1][2]))
            self._side.apply(operation)
            self.history.add(self._own.local.metadata.group, self._camera.take())
        moment = len(self.history.moments) - 1
        await committer.commit()
        self.history.synced(moment)

    def look(self) -> None:
        """See what is held by now."""
        self.held = max(self.held, self._own.ledger.progress.barrier)

    def keep(self, directory: Path) -> None:
        """The disk in this directory is about to be lost: remember what it knew."""
        for path in (directory / STAGE).iterdir():
            if path.name.isdigit():
                self._elsewhere[int(path.name)] = path.read_bytes()

    def go_back(self, group: int) -> None:
        """Another machine goes on from the end of this group."""
        self.history = self.history.up_to(group)

    def end_of(self, group: int) -> Picture:
        return self.history.end_of(group)
