"""The answers of system calls that are not success. Not errors of coopfs: programs ask for them all day."""

import os


class PosixError(Exception):
    """What the calling program gets: errno, one of the errno module's numbers."""

    def __init__(self, errno: int) -> None:
        super().__init__(os.strerror(errno))
        self.errno = errno
