"""What a household gets that has nothing but its kit, from whoever is up: one of the moments that it was promised."""

from collections.abc import Collection

from coopfs.app.recovery.restoring import opened
from coopfs.errors import NotRestorable
from tests.sim.patience import not_stuck
from tests.sim.picture import difference
from tests.sim.restore import photograph
from tests.sim.trace import Violation
from tests.village.household import Household
from tests.village.streams import Streams
from tests.village.tally import Tally
from tests.village.wishes import dialogue


async def check_restore(house: Household, without: Collection[Household], streams: Streams, tally: Tally) -> None:
    """P1 and P2: the state at the end of a group, not older than the newest that was ever held. without: who does not
    answer, as if lost. Violation."""
    assert house.kit is not None
    held = house.diary.held
    try:
        with not_stuck("a restore"), streams.elsewhere([other.at for other in without]):
            async with opened(house.kit, dialogue()) as disk:
                group, picture = disk.metadata.group - 1, await photograph(disk)
    except* NotRestorable as refusal:
        raise Violation(f"P2: group {held} of {house} was held, and: {refusal.exceptions[0]}") from None
    tally.note(f"restore {house} group {group} without {', '.join(map(str, without)) or 'nobody'}")
    if group < held:
        raise Violation(f"P2: group {held} of {house} was held, and a restore finds group {group}")
    expected = house.diary.end_of(group)
    if picture != expected:
        raise Violation(f"P1: group {group} of {house} as restored: {difference(picture, expected)}")
