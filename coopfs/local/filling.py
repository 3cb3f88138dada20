"""The stripe being filled: an open file, and what is in it."""

from coopfs.core.stripe import Fragment, Packer
from coopfs.local.scribe import Scribe


class Filling:
    """Content is appended to it until the packer has no room, or the group ends."""

    def __init__(self, stripe: int, descriptor: int, packer: Packer) -> None:
        self.stripe = stripe
        self.descriptor = descriptor
        self.packer = packer
        self.length = 0
        self.fragments: list[Fragment] = []

    def append(self, fragment: Fragment, content: memoryview, scribe: Scribe) -> None:
        scribe.write(self.descriptor, content, self.length)
        self.packer.add(fragment)
        self.length += len(content)
        last = self.fragments[-1] if self.fragments else None
        if last is not None and last.is_followed_by(fragment.ino, fragment.offset, fragment.codec):
            self.fragments[-1] = last.longer(fragment.length)
        else:
            self.fragments.append(fragment)
