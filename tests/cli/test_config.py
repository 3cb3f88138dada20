"""A home's configuration: what is read, and the one line about what is wrong."""

from pathlib import Path

import pytest

from coopfs import config, configtext
from coopfs.errors import ConfigError, HomeError, UsageError
from coopfs.schedule import ALWAYS, Schedule, constant, parse_when


def test_the_default_file_reads_as_what_it_was_made_from(tmp_path: Path) -> None:
    chosen = config.Config("alice", "127.0.0.1:0", ("a.example:1", "[2001:db8::1]:7530"), ("r.example:7531",))
    configtext.write_default(tmp_path / "home", chosen)
    assert config.load(tmp_path / "home") == chosen


@pytest.mark.parametrize("size", [1 << 20, 100 * 10**9, 12345678901, 1 << 42])
def test_what_finds_partners_stands_in_the_default_file_too(size: int, tmp_path: Path) -> None:
    chosen = config.Config(
        "alice",
        match_servers=("http://127.0.0.1:7532", "https://match.example.org/coopfs"),
        match_size=size,
        match_partners=8,
        site='Zürich "Süd" \\ 1',
        match_avoid=("Berlin office", "00" * 32),
        match_between=False,
        match_together=True,
    )
    configtext.write_default(tmp_path / "home", chosen)
    assert config.load(tmp_path / "home") == chosen


def test_an_empty_file_means_the_defaults() -> None:
    read = config.parse("", "f")
    assert (read.listen, read.advertise, read.upload_limit) == ("[::]:7530", (), Schedule())
    assert read.scrub_days == 90
    assert config.parse("scrub_days = 0", "f").scrub_days == 0
    assert config.check_name(read.name)
    assert (read.site, str(read.uptime), read.match_servers, read.match_partners) == ("", "95%", (), 0)
    assert read.match_size == config.Config().match_size


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / config.FILE_NAME).write_text('name = "mine"\n')
    with pytest.raises(HomeError, match="there already"):
        configtext.write_default(tmp_path, config.Config())
    assert config.load(tmp_path).name == "mine"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('name = "a"\nlistne = "[::]:1"', "F, line 2: unknown key 'listne', did you mean 'listen'?"),
        (
            "zzz = 1",
            "F, line 1: unknown key 'zzz' (there are: name, listen, advertise, relays, upload_limit, download_limit, c",
        ),
        ("cache = 1.5", 'F, line 1: cache: must be bytes, a number or text like "10G", or "auto", not a fraction'),
        ('fsync = "never"', "F, line 1: fsync: 'never' is no setting of fsync; use local or partners"),
        ("fsync = true", "F, line 1: fsync: must be text in quotes, not true or false"),
        ("scrub_days = -1", "F, line 1: scrub_days: must be 1 to 3650 days, or 0 for never"),
        ("scrub_days = 3651", "F, line 1: scrub_days: must be 1 to 3650 days, or 0 for never"),
        ('scrub_days = "90"', "F, line 1: scrub_days: must be a whole number of days without quotes, not text"),
        (
            "scrub_days = true",
            "F, line 1: scrub_days: must be a whole number of days without quotes, not true",
        ),
        ('cache = "much"', "F, line 1: cache: 'much' is not a size"),
        ("compress = true", "F, line 1: compress: must be text in quotes, not true or false"),
        ('compress = "lz4"', "F, line 1: compress: 'lz4' is no way of compressing; write off, zstd, or zstd:1 to"),
        ('compress = "zstd:0"', "F, line 1: compress: 'zstd:0' is no way of compressing"),
        ("\n[server]\na = 1", "F, line 2: unknown key 'server'"),
        ("listen = 7530", "F, line 1: listen: must be text in quotes, not a number"),
        ('listen = "7530"', "F, line 1: listen: '7530' is not an address"),
        ('listen = "h:65536"', "F, line 1: listen: 'h:65536' is not an address"),
        ('listen = "::1:80"', "F, line 1: listen: '::1:80' is not an address"),
        ('name = "a b"', "F, line 1: name: 'a b' is not a name"),
        ("name = 1979-05-27", "F, line 1: name: must be text in quotes, not a date or time"),
        ('advertise = "h:1"', "F, line 1: advertise: must be a list of addresses, not text"),
        ('# x\n\nadvertise = [\n "h:0",\n]', "F, line 3: advertise: 'h:0' has port 0"),
        ("advertise = [1]", "F, line 1: advertise: must be text in quotes, not a number"),
        (f"advertise = {['h:1'] * 9}", "F, line 1: advertise: has 9 addresses, 8 are possible"),
        (f"relays = {['h:1'] * 3}", "F, line 1: relays: has 3 addresses, 2 are possible"),
        ('relays = ["relay/h:1"]', "F, line 1: relays: 'relay/h:1' is not an address"),
        ("upload_limit = true", "F, line 1: upload_limit: must be bytes per second"),
        ("upload_limit = -5", "F, line 1: upload_limit: '-5' is not a size"),
        ('upload_limit = "2X"', "F, line 1: upload_limit: '2X' is not a size"),
        ("download_limit = [7]", "F, line 1: download_limit: must have entries such as"),
        ("[[upload_limit]]", "F, line 1: upload_limit: an entry lacks its rate"),
        ('[[upload_limit]]\nrate = 1\nname = "a"', "F, line 1: upload_limit: an entry has when and rate, not 'name'"),
        ("[[upload_limit]]\nwhen = 8\nrate = 1", "F, line 1: upload_limit: must be text in quotes"),
        ('[[upload_limit]]\nwhen = "noon"\nrate = 1', "F, line 1: upload_limit: 'noon' is no time of the week"),
        ('[[upload_limit]]\nwhen = "mon"\nrate = "x"', "F, line 1: upload_limit: 'x' is not a size"),
        (f"upload_limit = {['x'] * 169}", "F, line 1: upload_limit: has 169 entries, 168 are possible"),
        ('uptime = "97%"', "F, line 1: uptime: '97%' is no uptime level; there are 50%, 75%, 90%, 95%, 99%"),
        ("uptime = 95", "F, line 1: uptime: must be text in quotes, not a number"),
        (f'site = "{"x" * 65}"', "F, line 1: site: must be up to 64 printable letters"),
        ('match_servers = "https://a"', "F, line 1: match_servers: must be a list of servers, not text"),
        ('match_servers = ["a.example"]', "F, line 1: match_servers: 'a.example' is not the address of a server"),
        (f"match_servers = {['https://a'] * 9}", "F, line 1: match_servers: has 9 servers, 8 are possible"),
        ('match_size = "1K"', "F, line 1: match_size: 1.0 KiB are too little to swap"),
        ("match_size = true", "F, line 1: match_size: must be bytes, a number or text like"),
        ("match_partners = 257", "F, line 1: match_partners: must be a whole number of partners, 0 to 256"),
        ('match_partners = "8"', "F, line 1: match_partners: must be a whole number of partners, 0 to 256"),
        ("match_avoid = [1]", "F, line 1: match_avoid: must be text in quotes, not a number"),
        ("match_between = 1", "F, line 1: match_between: must be true or false without quotes, not a number"),
        ("match_together = 1", "F, line 1: match_together: must be true or false without quotes, not a number"),
        ('name = "a\nlisten = 1', "F: "),
        ('name = "a"\nname = "b"', "F, line 2: name is set in line 1 already: remove one of the two"),
        ('fsync = "local"\n# x\n fsync="local"', "F, line 3: fsync is set in line 1 already"),
        ('advertise = [\n "h:1",\n]\nadvertise = []', "F, line 4: advertise is set in line 1 already"),
        ('name = "a"\n[[upload_limit]]\nrate = 1\nrate = 2', "F: "),
        ('uptime = "mon 08-18 Europe/Pariss"', "F, line 1: uptime: 'Europe/Pariss' is no time zone that this machine"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(text, "F")
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_rates_may_be_numbers_or_sizes() -> None:
    assert config.parse("upload_limit = 1000", "f").upload_limit == constant(1000)
    assert config.parse('download_limit = "2M"', "f").download_limit == constant(2 << 20)
    assert config.parse("upload_limit = 0", "f").upload_limit == Schedule()


def test_rates_may_follow_the_hours_of_the_week() -> None:
    text = """
    [[upload_limit]]
    when = "mon-fri 08:00-18:00"
    rate = "500K"

    [[upload_limit]]
    rate = "5M"
    """
    expected = Schedule(((parse_when("mon-fri 08:00-18:00"), 500 << 10), (ALWAYS, 5 << 20)))
    assert config.parse(text, "f").upload_limit == expected


@pytest.mark.parametrize(("text", "level"), [("off", None), ("zstd", 1), ("zstd:1", 1), ("zstd:19", 19)])
def test_ways_of_compressing(text: str, level: int | None) -> None:
    assert config.parse(f'compress = "{text}"', "f").compress == config.Compression(level)


def test_a_directory_without_the_file_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="is not a home"):
        config.load(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / config.FILE_NAME).write_bytes(b'name = "\xff"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("h:1", ("h", 1)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::]:7530", ("::", 7530)),
        ("a-b.c:65535", ("a-b.c", 65535)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert config.parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", ":", "h", "h:", ":1", "h:1 ", "[::]", "[]:1", "[x]:1", "h:123456", "a b:1", "h" * 2000 + ":1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        config.parse_address(text)
