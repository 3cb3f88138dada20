"""How many pools of memory the process of a daemon may have."""

import subprocess
import sys

import pytest

# Threads that all allocate at once; then glibc's own account of its arenas, on stdout.
PROGRAM = """
import ctypes, threading
from coopfs.app.allocator import bound_arenas
libc = ctypes.CDLL(None)
if not hasattr(libc, "malloc_info"):
    raise SystemExit(77)
{call}
libc.malloc.restype = ctypes.c_void_p
barrier = threading.Barrier(8)
def allocate():
    barrier.wait()
    libc.malloc(1000)
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def arenas(call: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(call=call)], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("this C library has no arenas")
    assert done.returncode == 0, done.stderr
    return done.stdout.count("<heap nr=")


def test_threads_share_two_arenas() -> None:
    assert arenas("bound_arenas()") <= 2 < arenas("")


# What two stripes take, freed and taken again; then how many pages the kernel had to give for that.
RUNS = """
import ctypes, resource
from coopfs.app.allocator import bound_arenas
if not hasattr(ctypes.CDLL(None), "malloc_info"):
    raise SystemExit(77)
{call}
for number in range(20):
    run = [bytearray(1 << 18) for _ in range(16)]
    if not number:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    del run
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(call: str) -> int:
    done = subprocess.run([sys.executable, "-c", RUNS.format(call=call)], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("this is another C library")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_the_memory_of_a_stripe_is_kept_for_the_next_one() -> None:
    assert pages("bound_arenas()") < 1024 < pages("")  # 1024 pages: two stripes
