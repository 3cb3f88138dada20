"""A home: the directory that is one node. Who holds its lock is the node."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coopfs.core.identity import SEED_SIZE
from coopfs.errors import HomeError
from coopfs.local.diskerrors import disk_errors
from coopfs.types import DiskId


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of a home, whether it exists or not."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "coopfs.toml"

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def identity_file(self) -> Path:
        return self.path / "identity"

    @property
    def control_socket(self) -> Path:
        return self.path / "control.sock"

    @property
    def node_database(self) -> Path:
        return self.path / "node.sqlite"

    @property
    def hosted(self) -> Path:
        """Stores and reservations of partners."""
        return self.path / "hosted"

    @property
    def disks(self) -> Path:
        return self.path / "disks"

    def disk(self, disk: DiskId) -> Path:
        """The directory of one of this node's own disks."""
        return self.disks / disk.hex()

    def create(self, seed: bytes) -> None:
        """Make the home of a new node with this identity seed (32 bytes). HomeError: exists, no room, or no
        permission.
        """
        assert len(seed) == SEED_SIZE
        with disk_errors("create the home", self.path):
            new = [path for path in (self.path, *self.path.absolute().parents) if not path.exists()]
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (self.hosted, self.disks):
                directory.mkdir(mode=0o700, exist_ok=True)
            # The identity comes last, whole and never over another: with it the home exists.
            draft = self.path / "identity.new"
            _write_durably(draft, seed.hex().encode() + b"\n")
            try:
                os.link(draft, self.identity_file)
            except FileExistsError:
                raise HomeError(f"{self.path} is a home already: choose another --home, or use this one") from None
            finally:
                draft.unlink()
            for directory in (self.path, *(path.parent for path in new)):
                sync_directory(directory)

    def read_seed(self) -> bytes:
        """The identity seed: 32 bytes. HomeError: there is no home here, or its identity is damaged."""
        with disk_errors("read the home", self.path):
            try:
                text = self.identity_file.read_text("ascii", "replace")
            except FileNotFoundError:
                raise HomeError(f"{self.path} is not a home: make one with `coopfs init`") from None
        try:
            seed = bytes.fromhex(text)
        except ValueError:
            seed = b""
        if len(seed) != SEED_SIZE:
            raise HomeError(f"{self.identity_file} is damaged: copy the identity from the recovery kit")
        return seed

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only daemon of this home. HomeError: another one holds the lock, there is no home, or no
        permission.
        """
        self.read_seed()
        with disk_errors("lock the home", self.path):
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with disk_errors("lock the home", self.path):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                    raise HomeError(f"{self.path} is locked by another daemon (pid {pid or 'unknown'})") from None
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Put the names in a directory on stable storage. OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
