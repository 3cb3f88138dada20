"""A line to each of some addresses, each in a network namespace of its own: packets wait for it, and are lost on it.

    python packets.py SEED NEAR ADDRESS ...

1. a TUN device in the namespace of who starts it, for NEAR, and one in a new namespace for every ADDRESS, so that
   whoever calls from there has that address;
2. "ready", and a number N for each ADDRESS: `nsenter --net=/proc/PID/fd/N` leads there;
3. for every line of input, ADDRESS LOSS RATE, the way to and from that address loses so large a share of its packets,
   by chance, and carries so many bytes per second each way (0: any number); "done";
4. it ends with its input, and each namespace with the last process in it.

What a kernel does about lost packets is left to the kernels: these are its own TCP connections.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from select import select

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
IFF_UP = 0x1
NETMASK = "255.255.0.0"
PACKET = 65_536  # bytes read at once: more than any packet
BUFFER = 16 * 1024  # bytes that wait for a slow line before more is lost: 16 s at 1 kB/s, which is what such lines do


class Direction:
    """One way of a line: to a device."""

    def __init__(self, device: int, random: Random) -> None:
        self._device = device
        self._random = random
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._free_at = 0.0  # when the packet on the line has left it
        self.loss, self.rate = 0.0, 0.0

    def carry(self, packet: bytes, now: float) -> None:
        """A packet came; it may be lost."""
        if self._random.random() < self.loss or (self.rate and self._size + len(packet) > BUFFER):
            return
        self._waiting.append(packet)
        self._size += len(packet)
        self.move(now)

    def move(self, now: float) -> float | None:
        """Put on the line what it has time for. When to look again."""
        while self._waiting and (not self.rate or now >= self._free_at):
            packet = self._waiting.popleft()
            self._size -= len(packet)
            if self.rate:
                self._free_at = max(self._free_at, now) + len(packet) / self.rate
            with suppress(BlockingIOError):  # its queue is full: lost
                os.write(self._device, packet)
        return self._free_at if self._waiting else None


@dataclass(slots=True)
class Line:
    """Both ways."""

    there: Direction
    back: Direction
    both: tuple[Direction, Direction] = field(init=False)

    def __post_init__(self) -> None:
        self.both = (self.there, self.back)


def enter_new_namespace() -> None:
    """Of networks, for this thread and the processes that it starts. OSError: that takes root."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _raise(control, "lo")


def _device(address: str) -> int:
    """In the namespace of this thread."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"line", IFF_TUN | IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, NETMASK)):
            wanted = struct.pack("16sHH4s8x", b"line", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, request, wanted)
        _raise(control, "line")
    return device


def _raise(control: socket.socket, name: str) -> None:
    wanted = struct.pack("16sH14x", name.encode(), 0)
    (flags,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, wanted), 16)
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags | IFF_UP))


def main(seed: str, here: str, addresses: Sequence[str]) -> None:
    """Carry packets until standard input ends."""
    near = _device(here)
    random = Random(seed)
    lines: dict[bytes, Line] = {}
    from_far: dict[int, Line] = {}  # device -> the line that begins there
    ways_in = []
    for address in addresses:
        enter_new_namespace()
        ways_in.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        far = _device(address)
        lines[socket.inet_aton(address)] = from_far[far] = Line(Direction(far, random), Direction(near, random))
    print("ready", *ways_in, flush=True)
    until: float | None = None
    while True:
        patience = None if until is None else max(0.0, until - time.monotonic())
        ready, _, _ = select([near, *from_far, sys.stdin], [], [], patience)
        now = time.monotonic()
        for device in ready:
            if device is not sys.stdin:
                packet = os.read(device, PACKET)
                line = lines.get(packet[16:20]) if device == near else from_far[device]
                if packet[0] >> 4 == 4 and line is not None:  # of IPv4; all else is a kernel's own
                    (line.there if device == near else line.back).carry(packet, now)
        if sys.stdin in ready:
            wanted = sys.stdin.readline().split()
            if not wanted:
                return
            for way in lines[socket.inet_aton(wanted[0])].both:
                way.loss, way.rate = float(wanted[1]), float(wanted[2])
            print("done", flush=True)
        due = [at for line in lines.values() for way in line.both if (at := way.move(now)) is not None]
        until = min(due, default=None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
