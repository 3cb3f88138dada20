"""Programs made to try filesystems: fio with verification, stress-ng, bonnie++, dbench."""

from suitelib.shell import require, run
from suitelib.suite import REMOUNT, Act, Step, Suite, Trial, program

MIB = 1 << 20
VERIFY = ("--verify=crc32c", "--verify_fatal=1", "--minimal")
JOBS: dict[str, tuple[str, ...]] = {
    "mixed sizes": ("--ioengine=psync", "--rw=randrw", "--bsrange=512-64k", "--fsync=64", "--numjobs=2"),
    "appended, synced": ("--ioengine=psync", "--rw=write", "--bs=16k", "--fdatasync=1", "--file_append=0"),
    "direct, deep queue": ("--ioengine=libaio", "--rw=randwrite", "--bs=4k", "--direct=1", "--iodepth=16"),
    "mapped": ("--ioengine=mmap", "--rw=randwrite", "--bs=4k", "--fsync=256"),
    "preallocated": ("--ioengine=psync", "--rw=randwrite", "--bs=8k", "--fallocate=posix", "--overwrite=1"),
}

# Those of the class `filesystem` that are about files, and those of others that use files in their own ways. Left out
# are device files of the kernel, namespaces, and what takes minutes.
STRESSORS = (
    *("access", "aio", "aiol", "chattr", "chdir", "chmod", "chown", "copy-file", "dentry", "dir", "dirdeep"),
    *("dirmany", "dnotify", "dup", "fallocate", "fanotify", "fcntl", "fiemap", "file-ioctl", "filename", "flock"),
    *("fpunch", "fsize", "fstat", "getdent", "handle", "hdd", "inode-flags", "inotify", "io", "iomix", "lease"),
    *("link", "locka", "lockf", "lockofd", "mknod", "mmap", "mmapfixed", "mmapmany", "msync", "open", "readahead"),
    *("rename", "revio", "seek", "sendfile", "splice", "symlink", "sync-file", "touch", "utime", "verity", "xattr"),
)
NOTHING_TO_DO = 3  # stress-ng: the stressor is not for this system
NOT_IMPLEMENTED = 4


def _fio(job: str) -> Act:
    def act(trial: Trial) -> None:
        kibibytes = trial.size(32, 2) << 10
        run(
            "fio",
            f"--name={job.split(',')[0]}",
            f"--directory={trial.top}",
            f"--size={kibibytes}k",
            *VERIFY,
            *JOBS[job],
            cwd=trial.beside,  # it leaves notes there
        )

    return act


def _fio_again(trial: Trial) -> None:
    """What lies there is what was written, says the program that wrote it."""
    _run_fio(trial, "preallocated", "--verify_only=1")


def _run_fio(trial: Trial, job: str, *more: str) -> None:
    where = (f"--directory={trial.top}", f"--size={trial.size(32, 2)}m")
    run("fio", f"--name={job}", *where, *VERIFY, *JOBS[job], *more, cwd=trial.beside)


def _stress(stressor: str) -> Act:
    def act(trial: Trial) -> None:
        seconds = trial.size(5, 1)
        flags = ("--verify", "--oomable", "--temp-path", trial.top, "--timeout", f"{seconds}s")
        good = (0, NOTHING_TO_DO, NOT_IMPLEMENTED)
        run("stress-ng", *flags, f"--{stressor}", "2", cwd=trial.top, timeout=120.0, good=good)

    return act


def _bonnie(trial: Trial) -> None:
    """Without the tests of single characters, which are some 10^8 system calls."""
    size = trial.size(256, 32)
    user = ("-u", "root") if trial.top.stat().st_uid == 0 else ()
    run(program("bonnie++"), "-d", trial.top, *user, "-s", f"{size}M", "-r", f"{size // 2}", "-n", "4", "-f", "-q")


def _dbench(trial: Trial) -> None:
    said = run("dbench", "-D", trial.top, "-t", f"{trial.size(30, 3)}", "4")
    require("Throughput" in said, said)


LOADS = (
    Suite(
        "fio",
        ("fio",),
        ("fio",),
        (*(Step(job, _fio(job), alone=True) for job in JOBS), REMOUNT, Step("verify again", _fio_again)),
    ),
    Suite(
        "stress-ng",
        ("stress-ng",),
        ("stress-ng",),
        tuple(Step(name, _stress(name), alone=True) for name in STRESSORS),
        light=False,
    ),
    Suite("bonnie++", ("bonnie++",), ("bonnie++",), (Step("run", _bonnie),), light=False),
    Suite("dbench", ("dbench",), ("dbench",), (Step("run", _dbench),), light=False),
)
