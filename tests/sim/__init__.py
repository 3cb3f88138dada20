"""A whole network in one process: the real disk without FUSE and sockets, under a seed, a fake clock and faults.

life.py       one life: operations, faults, crashes, the loss of the machine, restores; the verdict
world.py      partners, keys, places, the clock on the wall          network.py   the way to partners, as the weather is
owner.py      the process that owns the disk, its crashes            platter.py   what a power loss leaves of its files
history.py    what was done, and what was promised                   picture.py   what a tree looks like
hosted.py     partners whose stores are files, and may lose power
restore.py    a machine that has nothing but the kit                 trace.py     every block that a partner stored
invariants.py what holds whenever all is quiet                       schedule.py  one thread, one seed, no real time
"""
