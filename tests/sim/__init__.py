"""A whole network in one process: the real disk without FUSE and sockets, under a seed, a fake clock and faults.

life.py       one life: its machines, one after the other; the verdict   days.py      what is done, and what goes wrong
steps.py      a step of a life, which may be left out                restores.py  what comes back, and is compared
world.py      partners, keys, places, the clock on the wall          network.py   the way to partners, as the weather is
owner.py      the process that owns the disk, its crashes            platter.py   what a power loss leaves of its files
history.py    what was done, and what was promised                   picture.py   what a tree looks like
hosted.py     partners whose stores are files, and may lose power
restore.py    a machine that has nothing but the kit                 trace.py     every block that a partner stored
moves.py      a disk moves to another layout                         budget.py     how many may be lost
quiet.py      all becomes complete, and all of it comes back         invariants.py what holds whenever all is quiet
patience.py   what never ends is a fault                             schedule.py  one thread, one seed, no real time
"""
