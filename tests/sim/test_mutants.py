"""The simulator has teeth: a rule that is broken is noticed within a bounded number of lives."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.sim.claim_mutants import CLAIM_MUTANTS
from tests.sim.filler import Stuck
from tests.sim.heads import begin_within
from tests.sim.layout_mutants import LAYOUT_MUTANTS
from tests.sim.liars import claim, come_back_without, forget, garble, lack
from tests.sim.life import live
from tests.sim.moves import move
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.newcomers import replace_slowly, replace_unseen
from tests.sim.resizes import raise_and_lower
from tests.sim.restores import Restores
from tests.sim.roads import ROADS, travel
from tests.sim.size_mutants import SIZE_MUTANTS
from tests.sim.strays import (
    begin,
    claim_where_forgotten,
    come_back_unclaimed,
    go_on,
    go_on_where_forgotten,
    hold_meanwhile,
    set_back,
    write_apart,
    write_together,
)
from tests.sim.test_life import MEMORY
from tests.sim.trace import Violation
from tests.sim.world import Changes, Geometry

GEOMETRIES = [Geometry(2, 1), Geometry(1, 1), Geometry(1, 2), Geometry(2, 2), Geometry(1, 3)]
ENDINGS = (Restores.check_promise, Restores.check_salvage)
SEEDS = 80  # of each geometry: which life notices differs with the SQLite and the Python at hand


# Where each was noticed once: as long as nothing has changed the course of lives, one life is enough.
NOTICED = {
    "truncates_act_on_their_own_group_too": (0, Geometry(1, 1)),
    "writers_get_what_is_kept_for_who_frees": (3, Geometry(2, 1)),
    "columns_in_a_count_like_others": (1, Geometry(1, 2)),
    "nothing_is_retracted": (1, Geometry(1, 1)),
    "partners_ack_before_they_sync": (0, Geometry(1, 1)),
    "a_restore_ignores_the_floor": (3, Geometry(1, 2)),
    "the_floor_is_what_was_sealed_last": (4, Geometry(2, 2)),
    "a_master_block_is_sent_before_it_is_saved": (0, Geometry(1, 1)),
    "blocks_are_sent_before_their_version_is_durable": (1, Geometry(1, 2)),
    "fsync_answers_before_the_log_is_synced": (0, Geometry(1, 1)),
    "a_commit_does_not_wait_for_the_stage": (0, Geometry(1, 1)),
    "a_layout_is_used_before_anybody_knows_of_it": (7, Geometry(1, 2)),
    "an_old_layout_is_named_no_more_while_stripes_lie_there": (3, Geometry(2, 2)),
    "old_stores_are_given_back_before_anybody_knows": (9, Geometry(2, 1)),
    "a_restore_looks_into_the_newest_layout_only": (3, Geometry(2, 2)),
    "a_restore_judges_all_by_the_newest_layout": (4, Geometry(1, 1)),
    "stripes_are_held_by_the_rules_of_the_oldest_layout": (0, Geometry(1, 2)),
    "a_slice_is_cut_before_it_is_empty": (0, Geometry(1, 2)),
    "a_claim_forgotten_with_its_disk_counts": (0, Geometry(2, 2)),
    "a_store_lost_with_its_claim_is_made_anew": (0, Geometry(1, 2)),
    "blocks_are_counted_before_the_claim": (0, Geometry(1, 2)),
    "all_runs_go_on_from_the_newest_version": (0, Geometry(1, 1)),
    "whoever_opened_a_store_goes_on_putting_there": (0, Geometry(1, 2)),
}


Course = Callable[[int, Geometry, Path], BaseException | None]  # the promise that was broken


def life(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    return live(seed, geometry, directory, ENDINGS[seed % 2]).broken


def full_disk(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """A disk that is filled and emptied: no life fills its disk."""
    broken = travel(ROADS["data"], 1, seed, directory, 60).broken
    assert broken.startswith("Stuck") or not broken, broken
    return Stuck(broken) if broken else None


def set_back_home(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """No life has this fault in it, as the disk ends there."""
    return set_back(geometry, directory)


def taken_over(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Lives have it too, and notice less of it."""
    return go_on(geometry, directory)


def taken_over_meanwhile(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives have a group that becomes held at just that moment."""
    return hold_meanwhile(geometry, directory)


def taken_over_where_forgotten(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives lose a partner's disk between two that write."""
    return go_on_where_forgotten(geometry, directory) if geometry == Geometry(1, 2) else None


def claimed_where_forgotten(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Or just before a takeover that needs everybody."""
    return claim_where_forgotten(geometry, directory)


def came_back_unclaimed(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few partners are away while a disk is taken over, and back at just the moment at which it matters."""
    return come_back_unclaimed(geometry, directory) if geometry.m > 1 else None


def newest_claimed(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives end with a lie that matters."""
    return claim(geometry, directory)


def newest_lacking(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives end with a state that is not whole but for its log."""
    return lack(geometry, directory)


def came_back(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """What a partner lost is mended by others in most lives, before it matters."""
    return come_back_without(geometry, directory)


def emptied(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives lose a machine right after a partner's disk, and those that know better."""
    return forget(geometry, directory) if geometry == Geometry(1, 2) else None


def garbled(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """As few lose one of two, and meet a liar in the other."""
    return garble(geometry, directory) if geometry == Geometry(1, 2) else None


def begun_within(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Groups of lives are short: they have one meta stripe."""
    return begin_within(geometry, directory)


def begun_early(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives reuse a row of what is not held again, and lose it then."""
    return begin(geometry, directory) if geometry.m > 1 else None


def replaced_unseen(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives lose everybody who was told."""
    return replace_unseen(geometry, directory)


def replaced_slowly(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few give a column to somebody, and lose another partner just then."""
    return replace_slowly(geometry, directory)


def rekeyed(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """No other lives have new keys."""
    return live(seed, geometry, directory, Restores.check_promise, changes=Changes(rekeys=True)).broken


def written_together(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives of a home that is copied overwrite what is held just then."""
    return write_together(geometry, directory)


def written_apart(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """And few of them reach other partners each."""
    return write_apart(geometry, directory) if geometry == Geometry(1, 1) else None


def resized(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives lose what lies in the rows that come or go."""
    return raise_and_lower(geometry, directory)


def moved(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """Few lives are lost at just that moment of a move at which it matters."""
    return move(seed, geometry, directory)


COURSES: dict[str, Course] = {
    **{mutant.__name__: resized for mutant in SIZE_MUTANTS},
    **{mutant.__name__: moved for mutant in LAYOUT_MUTANTS},
    "whoever_opened_a_store_goes_on_putting_there": written_together,
    "all_runs_go_on_from_the_newest_version": written_apart,
    "a_new_key_is_used_before_a_kit_has_it": rekeyed,
    "an_old_key_is_dropped_while_rows_need_it": rekeyed,
    "writers_get_what_is_kept_for_who_frees": full_disk,
    "a_home_believes_that_it_knows_the_newest_version": set_back_home,
    "the_rest_of_the_group_at_the_head_is_dropped": begun_within,
    "partners_fence_nobody": taken_over,
    "a_rebuilt_column_counts_before_it_is_complete": replaced_slowly,
    "a_new_store_counts_before_anybody_knows_of_it": replaced_unseen,
    "a_takeover_writes_before_all_is_held_again": begun_early,
    "a_takeover_looks_before_it_claims": taken_over_meanwhile,
    "a_claim_forgotten_with_its_disk_counts": claimed_where_forgotten,
    "blocks_are_counted_before_the_claim": came_back_unclaimed,
    "a_store_lost_with_its_claim_is_made_anew": taken_over_where_forgotten,
    "a_partner_that_returns_is_believed_without_a_look": came_back,
    "a_store_that_is_gone_is_an_answer": emptied,
    "the_newest_whole_state_is_taken_without_asking": garbled,
    "what_partners_claim_is_believed": newest_claimed,
    "only_the_chain_of_metadata_makes_a_state_valid": newest_lacking,
}


def test_every_rule_has_a_mutant() -> None:
    """But for R10: there are no snapshots yet."""
    rules = {int(rule) for mutant in MUTANTS for rule in re.findall(r"\bR(\d+)", mutant.__doc__ or "")}
    assert rules == set(range(1, 17)) - {10}


@pytest.mark.parametrize(
    "course",
    [
        set_back_home,
        taken_over,
        taken_over_meanwhile,
        taken_over_where_forgotten,
        claimed_where_forgotten,
        came_back_unclaimed,
        written_together,
        newest_claimed,
        newest_lacking,
        came_back,
        emptied,
        garbled,
        begun_within,
        begun_early,
        replaced_unseen,
        replaced_slowly,
        resized,
        moved,
    ],
)
@pytest.mark.parametrize("geometry", [Geometry(2, 1), Geometry(1, 2)], ids=str)
def test_without_a_mutant_all_is_well(course: Course, geometry: Geometry, tmp_path: Path) -> None:
    assert course(0, geometry, tmp_path) is None


@pytest.mark.parametrize(
    ("course", "geometry"), [(written_apart, Geometry(1, 1)), (claimed_where_forgotten, Geometry(2, 2))]
)
def test_without_a_mutant_all_is_well_where_it_is_noticed(course: Course, geometry: Geometry, tmp_path: Path) -> None:
    assert course(0, geometry, tmp_path) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant", [*MUTANTS, *CLAIM_MUTANTS, *SIZE_MUTANTS, *LAYOUT_MUTANTS], ids=lambda mutant: mutant.__name__
)
def test_a_broken_rule_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    every = itertools.product(range(SEEDS), GEOMETRIES)
    first, course = NOTICED.get(mutant.__name__), COURSES.get(mutant.__name__, life)
    with mutant():
        for seed, geometry in [*([first] if first else []), *every]:
            with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as directory:
                broken = course(seed, geometry, Path(directory))
            if broken is not None:
                assert isinstance(broken, Violation | Stuck), f"it ends in an error, and breaks no promise: {broken!r}"
                print(f"noticed in life {seed} {geometry}: {broken}")
                return
    pytest.fail(f"nothing was noticed in {SEEDS} lives of each geometry")
