"""pjdfstest: 8,800 small questions about what POSIX says of system calls. No package brings it: build it from source,
and let PATH name its directory, where its tests are too."""

from suitelib.shell import require, run
from suitelib.suite import Act, Step, Suite, Trial, program

CALLS = (
    *("chflags", "chmod", "chown", "ftruncate", "granular", "link", "mkdir", "mkfifo", "mknod", "open"),
    *("posix_fallocate", "rename", "rmdir", "symlink", "truncate", "unlink", "utimensat"),
)


def _ask(call: str) -> Act:
    def act(trial: Trial) -> None:
        tests = program("pjdfstest").parent / "tests" / call
        said = run("prove", "-r", tests / "00.t" if trial.short else tests, cwd=trial.top)
        require("Result: PASS" in said or "Result: NOTESTS" in said, said)

    return act


PJDFSTEST = Suite(
    "pjdfstest",
    ("pjdfstest", "prove"),
    ("perl",),
    tuple(Step(call, _ask(call), alone=True) for call in CALLS),
    light=False,
)
