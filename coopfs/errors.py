"""The error tree. Everything that can happen to a correct program has a type here; our own bugs are asserts."""


class CoopfsError(Exception):
    """Base of all; `str()` is one line that a user can act on. `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(CoopfsError):
    """The caller asked for something impossible: wrong option, wrong state, missing argument."""

    exit_code = 2


class ConfigError(CoopfsError):
    """The configuration file is wrong; the message names the key."""

    exit_code = 3


class KitError(CoopfsError):
    """The recovery kit is damaged, mistyped or of another format; the message names the line."""

    exit_code = 4


class HomeError(CoopfsError):
    """The home directory is missing, locked by another daemon, not writable, or full."""

    exit_code = 5


class DaemonError(CoopfsError):
    """No daemon answers for this home, or it refused the request."""

    exit_code = 6


class MountError(CoopfsError):
    """The mountpoint is busy, missing, or the mount did not answer."""

    exit_code = 7


class StateError(CoopfsError):
    """Database or stage are lost, torn, or older than what the partners hold (design R6, R12)."""

    exit_code = 8


class NotAsked(CoopfsError):
    """A question of a check could not be answered, for a reason that says nothing of what is in the database."""


class NotRestorable(CoopfsError):
    """Too few partners answer, or the newest state found may not be the newest held (R11)."""

    exit_code = 9


class StaleHome(StateError):
    """Partners hold blocks of this disk that this home never sent: it is a copy, or older than they are (R12)."""


class InvalidAcl(CoopfsError):
    """Bytes that are no POSIX ACL; becomes EINVAL at the mount."""


class OutOfSpace(CoopfsError):
    """No row, byte or reserve is left for this change; becomes ENOSPC at the mount (R9)."""

    exit_code = 10


class NoDescriptors(CoopfsError):
    """No file descriptor is left, for this process or on this machine; becomes ENFILE at the mount."""


class ContentUnavailable(CoopfsError):
    """Fewer than k authentic blocks of a stripe can be had now; becomes EIO after the documented timeout."""

    exit_code = 11


class ContentGone(ContentUnavailable):
    """A writer that still lives has used the rows again: a restore view shows a past that is over (R14); ESTALE."""


class PeerError(CoopfsError):
    """A partner's fault, or a stranger's bytes: the only thing that bytes from outside can cause."""

    exit_code = 12


class PartnerAway(PeerError):
    """The partner cannot be reached now, or the connection ended before an answer came."""


class ProtocolError(PeerError):
    """Bytes that do not follow the protocol: bad frame, unknown incompatible feature, failed authentication."""


class Refused(PeerError):
    """The partner understood and said no; the message is the partner's reason."""


class StoreGone(Refused):
    """The partner has no such store of this node: it was lost there, or never made."""


class NoAgreement(Refused):
    """The partner knows of no agreement with this node: it lost it, or has ended it."""


class BlockRefused(Refused):
    """The slot holds a version that is not older (R15). Carries what is stored there.

    stored_version: uint64, the version in the slot.
    """

    def __init__(self, message: str, stored_version: int) -> None:
        super().__init__(message)
        self.stored_version = stored_version


class Fenced(Refused):
    """A newer writer has claimed this disk (R12, R16). Carries that claim.

    epoch: 1..65535; claimer: 16 bytes.
    """

    def __init__(self, message: str, epoch: int, claimer: bytes) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.claimer = claimer


class ClockApart(Refused):
    """Two machines do not agree what time it is: an announcement is from hours ago, or from the future."""


class Replayed(Refused):
    """An announcement that is older than one already known of the same node: sent again by somebody, or its clock was
    put back."""


class TwinIdentity(Refused):
    """Two running machines announce themselves with one node key: one of them is a copy."""


class NotAuthentic(PeerError):
    """A block, master block or claim does not verify under this disk's keys; it counts as missing."""


class KeyMissing(NotAuthentic):
    """A block or master block is sealed with a key of its disk that is not here: nothing can be said of it."""


class DamageFound(CoopfsError):
    """A check found damage that is still there."""

    exit_code = 13


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of errors that tasks met at the same time, the first: one line is what a user can act on."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
