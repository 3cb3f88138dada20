"""The campaigns' operations of every kind: a loss that a disk may not have is seen."""

import os
import shutil
from pathlib import Path
from random import Random

import pytest
from campaignlib.operations import Operations
from suitelib.shell import Failed

from tests.e2e.waiting import until
from tests.fs.operations import ROOT

pytestmark = pytest.mark.skipif(not ROOT, reason="owners are given away")

FEW = 200  # operations


@pytest.fixture
def operations(tmp_path: Path) -> Operations:
    """That were carried out below tmp_path / "top", and are all promised."""
    for name in ("top", "beside"):
        (tmp_path / name).mkdir()
    made = Operations(tmp_path / "top", tmp_path / "beside", Random(1), share=0.0)
    work(made)
    return made


def work(operations: Operations) -> None:
    operations.begin()
    until(lambda: operations.told() >= FEW)
    operations.end()
    operations.told()


def test_what_is_there_is_found_and_gone_on_with(operations: Operations, tmp_path: Path) -> None:
    assert operations.found(tmp_path / "top") >= FEW
    operations.check()
    work(operations)
    operations.check()


def test_a_moment_before_the_promise_is_none(operations: Operations, tmp_path: Path) -> None:
    operations.check()
    shutil.copytree(tmp_path / "top", tmp_path / "before", symlinks=True, copy_function=shutil.copy)
    work(operations)
    with pytest.raises(Failed, match=f"never so after operation {operations.told()} of"):
        operations.found(tmp_path / "before")


def test_one_attribute_that_is_lost_is_seen_and_named(operations: Operations, tmp_path: Path) -> None:
    top = tmp_path / "top" / "operations"
    with_attributes = [path for path in top.rglob("*") if os.listxattr(path, follow_symlinks=False)]
    chosen = with_attributes[0]
    os.removexattr(chosen, os.listxattr(chosen, follow_symlinks=False)[0], follow_symlinks=False)
    with pytest.raises(Failed, match=r"never so .*: at \d+, (mode of .*, )?xattrs of "):
        operations.found(tmp_path / "top")


def test_an_answer_that_no_disk_would_give_is_told(operations: Operations, tmp_path: Path) -> None:
    operations.check()
    shutil.rmtree(tmp_path / "top" / "operations")
    (tmp_path / "top" / "operations").mkdir()
    work(operations)
    with pytest.raises(Failed, match=r"was answered .*, not "):
        operations.check()
