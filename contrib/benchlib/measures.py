"""What each figure means, for --help."""

MEANING = {
    "write": "a new file of --size in requests of 1 MiB; no fsync, partners away",
    "write_fsync": "the same with an fsync at its end",
    "create": "--files files: create, write 4 KiB, close, one after the other, 100 in a directory",
    "readdir": "all directories of that tree listed twice",
    "stat": "stat of each file, whose attributes the kernel knows; lookup: it does not (only root can let it forget)",
    "tar": "tar -x of an archive of --files files of 4 KiB",
    "until_held": "two files of --size written, until they survive the loss of the machine and of the promised number"
    " of partners; until_complete: until every partner has its blocks",
    "cpu_owner, cpu_partners": "processor seconds for each GB of that",
    "memory_owner, memory_partner": "the most that was resident until then, restarts of partners apart",
    "evicted": "mounted with a cache of 32 MiB, a file that only partners have; evicted_degraded: two of them dead",
    "restore_ready": "seconds from `coopfs restore mount` until the mount answers, the owner's home gone",
    "read, read_small": "there, a large file, and the tree's files; read_degraded: another file, two partners dead",
    "cpu_restore, memory_restore": "what the process of the restore view cost",
    "line": "a file of --size until held, the owner behind a line of 100 Mbit/s each way that adds 50 ms to each round"
    " trip; line_share: with redundancy counted, of what the line carries; line_sent: bytes sent for each of these",
}


def text() -> str:
    """A paragraph for each figure, under its name in --json."""
    return "\n\n".join(f"{name}: {meaning}." for name, meaning in MEANING.items())
