"""What a disk's status means: sentences for people, from the same answer that --json prints. In rich markup.

The most important comes first: what would come back if this machine burned now. Then what waits, how full it is, and
what would help.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape

from coopfs.core.reliability import percent
from coopfs.limits import DEFAULT_TARGET
from coopfs.sizes import format_size

Json = dict[str, Any]

REACHED = {"caught up", "catching up", "takes nothing", "gives nothing"}  # states of columns
NEARLY_FULL = 20  # free is less than a 20th of the disk


def disk_sentences(disk: Json, now: datetime) -> list[str]:
    """How the disk is. now: aware, in the time zone in which moments are told."""
    where = f"mounted at {escape(disk['mounted'])}" if disk["mounted"] else "not mounted"
    sentences = [
        f"disk {escape(disk['id'][:12])}: {disk['k']}+{disk['m']} on {len(_holders(disk))} partners, {where}",
        safety(disk, now),
        *outlook(disk["outlook"]),
        waiting(disk),
        *([replacement(disk["replacement"])] if disk["replacement"] else []),
        *([growth(disk["growth"], disk)] if disk["growth"] else []),
        *([reshaping(disk["reshaping"])] if disk["reshaping"] else []),
        *([keys(disk["keys"])] if disk["keys"] else []),
        *([unsent(disk["unsent"])] if disk["unsent"] else []),
        space(disk),
        cache(disk["cache"]),
        cleaning(disk),
        *compression(disk),
        scrub(disk["scrub"], now),
        kit(disk["kit"], now),
        *([trustees(disk["trustees"])] if disk["trustees"] else []),
    ]
    return sentences + [f"[yellow]-> {line}[/]" for line in dict.fromkeys(advice(disk))]


def safety(disk: Json, now: datetime) -> str:
    """What would come back now, and what else might be lost."""
    margin, found = disk["margin"], disk["found"]
    if found is not None:
        return (
            f"[bold yellow]This machine has taken the disk over as it was at {escape(clock(found['date'], now))}, and "
            "makes all of it safe again before anything else is written[/]"
        )
    if disk["held_at"] is None or margin is None:
        why = "its partners are none any more" if disk["held_group"] else "nothing is held yet"
        return f"[bold yellow]If this machine burned now, nothing would come back: {why}[/]"
    moment = escape(clock(disk["held_at"], now))
    if margin < 0:
        return (
            f"[bold red]If this machine burned now, some of what was held at {moment} could not be read "
            f"until {-margin} more partner{'s come' if margin < -1 else ' comes'} back[/]"
        )
    got = f"If this machine burned now, you would get back everything up to {moment}"
    if margin == 0:
        return f"[bold red]{got}, but not if any further partner were lost[/]"
    return f"[bold green]{got}; it would survive the loss of any {margin} more partner{'s' if margin > 1 else ''}[/]"


def outlook(seen: Json | None) -> Iterator[str]:
    """How likely a restore works, what is weakest, how far behind held is, and what would help most."""
    if seen is None:
        return
    yield (
        f"a restore works at a random moment with {percent(seen['now'])} %, and within {seen['within_days']:.0f} days "
        f"with {percent(seen['within'])} %, if partners are up as before"
    )
    weakest, lag, waits = seen["weakest"], seen["lag_seconds"], seen["waiting_seconds"]
    parts = []
    if weakest is not None:
        blocks, stripes = weakest["blocks"], weakest["stripes"]
        parts.append(f"the weakest {stripes} stripe{'s are' if stripes > 1 else ' is'} on {blocks} partners")
    if lag is not None:
        parts.append(f"what was held last took {_span(lag)} to get there")
    if waits is not None:
        parts.append(f"the oldest that is not held waits for {_span(waits)}")
    if parts:
        yield "; ".join(parts)
    if seen["help"] is not None and seen["now"] > 1.0 - DEFAULT_TARGET / 100.0:
        name, left = seen["help"]["partner"], percent(seen["help"]["now"])
        if name is None:
            yield f"most would help that all stripes were on every partner: then {left} %"
        else:
            yield f"most would help that {escape(name)} were always up: then {left} %"


def waiting(disk: Json) -> str:
    """What is not safe yet, and who is there to take it."""
    holders = _holders(disk)
    there = f"{sum(holders.values())} of {len(holders)} partners are reached"
    pending = disk["not_held_bytes"]
    what = f"{format_size(pending)} written since is not held yet" if pending else "nothing written since waits"
    missing = disk["below_target"]
    repair = f"; {missing} stripe{'s' if missing > 1 else ''} not yet on every partner" if missing else ""
    left = disk["repair_seconds_left"]
    if missing and left is not None:
        repair += f", those that are reached have all in about {_duration(left)}"
    calls = disk["fsyncs_waiting"]
    who = "1 call of fsync waits" if calls == 1 else f"{calls} calls of fsync wait"
    synced = f"; [yellow]{who}[/]" if calls else ""
    return f"{what}; {there}{repair}{synced}"


def _holders(disk: Json) -> dict[str, bool]:
    """Who has columns, and whether all of them are reached; who is in two layouts while it moves is one partner."""
    reached: dict[str, bool] = {}
    for column in disk["columns"]:
        reached[column["partner"]] = column["state"] in REACHED and reached.get(column["partner"], True)
    return reached


def growth(wanted: Json, disk: Json) -> str:
    """A disk that is to get more rows, or less."""
    change = format_size(abs(wanted["rows"] - wanted["from"]) * disk["row_bytes"])
    waits = f"; [yellow]{escape(wanted['waits_for'])}[/]" if wanted["waits_for"] else ""
    if wanted["rows"] < wanted["from"]:
        return f"getting smaller by about {change}, while what lies there is moved{waits}"
    return f"growing by about {change} when all partners have made room{waits}"


def reshaping(coming: Json) -> str:
    """A disk that gets another layout."""
    shape = f"{coming['k']}+{coming['m']}"
    waits = f"; [yellow]{escape(coming['waits_for'])}[/]" if coming["waits_for"] else ""
    if coming["used"]:
        left = coming["seconds_left"]
        time = f", about {_duration(left)} left" if left is not None else ""
        return f"moving to {shape}: {coming['rows_left']} rows of the layout before are to be emptied{time}{waits}"
    return f"getting ready to be {shape}{waits}"


def replacement(given: Json) -> str:
    """A column that is being given to another partner."""
    done, total = given["blocks"], given["blocks_of"]
    share = 100 * done // total if total else 100
    what = f"{escape(given['from'])} is being replaced by {escape(given['to'])}"
    if given["from"] == given["to"]:
        what = f"{escape(given['from'])} had lost all that it stored and gets it again"
    sentence = f"{what}: {share} % of the blocks are there"
    if given["trouble"]:
        return f"{sentence}; [yellow]{escape(given['trouble'])}[/]"
    left = given["seconds_left"]
    if done < total:
        return sentence + (f", about {_duration(left)} left" if left is not None else "")
    return sentence + (f"; [yellow]{escape(given['waits_for'])}[/]" if given["waits_for"] else "")


def unsent(left: Json) -> str:
    """What a lost database had not sent, on its way into lost+found."""
    waits = f"; [yellow]{escape(left['trouble'])}[/]" if left["trouble"] else ""
    if not left["bytes"]:
        return f"what was never sent when the disk was lost is in lost+found{waits}"
    return (
        f"{format_size(left['bytes'])} that were never sent when the disk was lost are being put into lost+found{waits}"
    )


def space(disk: Json) -> str:
    """How full it is; the reserve is what only deleting may use."""
    used = disk["bytes"] - disk["bytes_free"]
    return (
        f"space: {format_size(used)} of {format_size(disk['bytes'])} used, {format_size(disk['bytes_free'])} free; "
        f"{format_size(disk['reserve_bytes'])} more are kept back so that deleting always works"
    )


def cache(cache: Json) -> str:
    """What of the content lies on this machine."""
    most = "" if cache["size"] is None else f" of at most {format_size(cache['size'])}"
    there = f"on this machine: {format_size(cache['used'])}{most}"
    if cache["dirty_size"] is None:
        return f"{there}; it stays, as the disk has no redundancy"
    sentence = f"{there}, {format_size(cache['dirty'])} of it not safe with partners yet"
    if cache["refill"] is not None:
        done, total = cache["refill"]
        share = 100 * done // total if total else 100
        sentence += f"; {share} % of what fits has been fetched since the takeover"
    return sentence + ("; [yellow]writers wait until less of it is[/]" if cache["writers_waiting"] else "")


def cleaning(disk: Json) -> str:
    """How much of what lies at the partners is of use."""
    cleaned = disk["cleaning"]
    capacity = cleaned["data_rows"] * disk["row_bytes"]
    if disk["reshaping"]:  # whose rows are of two sizes
        capacity = 0
    share = f", {100 * cleaned['live_bytes'] // capacity} % of it still in use" if capacity else ""
    return (
        f"rows: {disk['rows_used']} of {disk['rows']} taken, {cleaned['data_rows']} by content{share}, "
        f"{cleaned['log_rows']} by the log"
    )


def compression(disk: Json) -> list[str]:
    """What it saves; nothing while it is off and nothing is compressed."""
    level, length, stored = (disk["compression"][key] for key in ("level", "content_bytes", "stored_bytes"))
    how = "off" if level is None else f"zstd, level {level}"
    if length <= stored:
        return [] if level is None else [f"compression: {how}; it has saved nothing yet"]
    return [f"compression: {how}; {format_size(length)} of content take {format_size(stored)}"]


def scrub(told: Json | None, now: datetime) -> str:
    """How far partners' blocks have been looked at, and what was found."""
    if told is None:
        return "scrub: off, so rot at partners is found only when something is read (scrub_days = 0)"
    share = 100 * told["done"] // told["of"] if told["of"] else 0
    last = told["finished_at"]
    ended = "none has ended yet" if last is None else f"the last one ended {escape(clock(last, now))}"
    bad = told["wrong"]
    wrong = f"[yellow]{_blocks(bad)} found wrong and sealed again[/]" if bad else "nothing wrong found"
    silent = f"; [yellow]{_blocks(told['silent'])} not shown when asked for[/]" if told["silent"] else ""
    return f"scrub: this pass over the partners' blocks has done {share} %, {ended}; {wrong}{silent}"


def keys(told: Json) -> str:
    """Of a disk that has been given a new key, or is to use one."""
    newest, older = told["newest"], ", ".join(map(str, told["older"]))
    if told["waits_for"]:
        return f"[yellow]key {newest} is not used yet: {escape(told['waits_for'])}[/]"
    if told["bytes_left"] is None:
        return f"key {newest} seals what is written now; what was written before still needs key {older}"
    left = format_size(told["bytes_left"])
    return f"key {newest} seals what is written now; {left} of what key {older} sealed are still to be written again"


def kit(made: Json | None, now: datetime) -> str:
    """Of the newest recovery kit."""
    if made is None:
        return "[bold red]kit: none was exported, and without one nothing can be restored[/]"
    when = f"kit: exported {escape(clock(made['exported_at'], now))}"
    spare = made["holders"] - made["needed"]
    if spare < 0:
        count = made["holders"] or "none"
        return f"[bold red]{when}, not good now: of the partners it names {count} can give the newest master block[/]"
    since = f"; it does not name {escape(', '.join(made['lacks']))}, who came later" if made["lacks"] else ""
    if spare == 0:
        return f"[yellow]{when}, good while no further partner that it names is lost{since}[/]"
    return f"{when}, good while no more than {spare} of the partners that it names are lost{since}"


def trustees(told: Sequence[Json]) -> str:
    """Who holds the master block only."""
    late = [each["partner"] for each in told if not each["has_newest"]]
    newest = f"; {escape(', '.join(late))} not yet the newest" if late else ""
    return f"master block only: {escape(', '.join(each['partner'] for each in told))}{newest}"


def advice(disk: Json) -> Iterator[str]:
    """What would help, most urgent first."""
    columns = disk["columns"]
    if disk["trouble"]:
        yield escape(disk["trouble"])
    yield from _advice_on_found(disk["found"])
    yield from _advice_on_lost(disk["lost_content"])
    for column in columns:
        if column["state"] == "lost":
            name = escape(column["partner"])
            if disk["replacement"] is None or disk["replacement"]["column"] != column["column"]:
                yield f"{name} is lost: give its column to a new partner with coopfs partner replace {name} CODE"
        if column["state"] == "takes nothing":
            yield (
                f"{escape(column['partner'])} is reached, but has stored nothing of late: its disk may be full, or its "
                "line too bad; ask its owner. After 12 hours of that it does not count until it has caught up"
            )
        if column["state"] == "gives nothing":
            yield (
                f"{escape(column['partner'])} is reached, but gives back nothing of what it stores: ask its owner. "
                "After 12 hours of that it does not count until it does, after two weeks it is lost"
            )
        if column["state"] == "emptied":
            yield f"{escape(column['partner'])} answers and has lost all that it stored: it gets it again by itself"
    rebuilt = [escape(column["partner"]) for column in columns if column["state"] == "rebuilt"]
    absent = dict.fromkeys(escape(c["partner"]) for c in columns if c["state"] in ("unreachable", "away"))
    if rebuilt and absent:
        yield (
            f"{', '.join(rebuilt)} has its column, and counts when enough others know: bring back {', '.join(absent)}, "
            "or declare lost who does not come back, with coopfs partner lose NAME"
        )
    if disk["offline"]:
        count = len(_holders(disk))
        who = "no partner is" if len(absent) == count else f"{len(absent)} of {count} partners are not"
        yield (
            f"{who} reached, so it seems to be this machine that is offline: look at its network; no partner is blamed "
            "for it, and what is written waits here"
        )
    else:
        for column in columns:
            if column["state"] == "away":
                yield f"{escape(column['partner'])} has been away for long: ask its owner"
    for column in columns:
        if column["lost"]:
            yield f"{escape(column['partner'])} lost {_blocks(column['lost'])} that it had stored: they are sent again"
        if column["damaged"]:
            yield (
                f"{escape(column['partner'])} returned {_blocks(column['damaged'])} damaged; others took their place: "
                "ask its owner to look after its disk"
            )
        if column["disputed"]:
            yield (
                f"{escape(column['partner'])} keeps {_blocks(column['disputed'])} damaged, and takes no others for "
                "them: their content is written anew in other rows; ask its owner to look after its disk"
            )
        if column["foreign"]:
            yield (
                f"{escape(column['partner'])} has {_blocks(column['foreign'])} in the way that another machine with "
                "this disk put there: what belongs there is written anew in other rows"
            )
        if (column["disputed"] or column["foreign"]) and disk["cache"]["writers_waiting"]:
            yield (
                "there is no room for that while the cache is full of what is not safe: give the column to a new "
                f"partner: coopfs partner replace {escape(column['partner'])} CODE"
            )
    if disk["bytes_free"] * NEARLY_FULL < disk["bytes"]:
        moves = disk["reshaping"] is not None and disk["reshaping"]["used"]
        yield "the disk is nearly full" + (" until more of it has moved" if moves else ": delete something")
    if disk["kit_wanted"] is not None:
        yield f"{escape(disk['kit_wanted'])}: export one with coopfs kit export FILE, and keep it somewhere else"


def _advice_on_lost(stripes: int) -> Iterator[str]:
    """What would help where content is lost for good."""
    if stripes:
        yield (
            f"{stripes} stripe{'s' if stripes > 1 else ''} of content cannot be had any more, here or from partners: "
            "coopfs check tells of which files; nothing newer is safe before those are deleted or written anew"
        )


def _advice_on_found(found: Json | None) -> Iterator[str]:
    """What would help to make safe what a takeover found."""
    if found is None:
        return
    if found["counted"] < found["needed"]:
        yield (
            f"{found['needed']} partners must have what was found, and only {found['counted']} can: bring others back, "
            "or give the column of one that does not come back to a new partner: coopfs partner replace NAME CODE"
        )
    if lacking := found["unavailable"]:
        yield (
            f"{lacking} stripe{'s' if lacking > 1 else ''} of what was found cannot be had from the partners that "
            "answer: bring others back; or, if nobody has them any more, stop the daemon and take the disk over as it "
            "is without them: coopfs takeover --anew KIT"
        )


def clock(text: str, now: datetime) -> str:
    """A moment of an answer ("2026-01-02 03:04:05 UTC") as told here: the time of day alone if it is today's."""
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).astimezone(now.tzinfo)
    return moment.strftime("%H:%M:%S" if moment.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else _duration(seconds)


def _duration(seconds: int) -> str:
    """To about one digit: an estimate has no more."""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "a minute"


def _blocks(count: int) -> str:
    return f"{count} block{'s' if count > 1 else ''}"
