"""`coopfs match serve` as an operator runs it, and its page in a real browser."""

import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from coopfs.core.announcement import sign
from coopfs.levels import Share, parse_uptime, storage_size
from coopfs.limits import MATCH_BODY
from tests.e2e.commands import coopfs
from tests.match.daemons import serving
from tests.match.members import START, match_of, member, seed_of, text
from tests.match.png import colours

pytestmark = pytest.mark.slow

BROWSER = "chromium-headless-shell"
FOUND, LOOKED_FOR = (0x2F, 0x7D, 0x5B), (0xE0, 0xA0, 0x3C)  # the colours of the bars
AFAR = {"X-Forwarded-For": "20.9.9.9"}
PLACES = ("Oslo", "Lisboa", "Київ", "Roma", "Zürich", "Lyon", "Gdańsk", "Brno", "Cork", "Turku", "Malmö", "Porto")


def announce(client: httpx.Client, number: int, **changes: object) -> httpx.Response:

    said = member(number, time=int(time.time()), **changes)
    source = {"X-Forwarded-For": said.addresses[0].rsplit(":", 1)[0]}
    return client.post("/v0/announce", json={"announcement": text(sign(seed_of(number), said))}, headers=source)


def test_it_serves_forgets_nothing_at_a_restart_and_ends_at_a_signal(database: str, tmp_path: Path) -> None:
    with serving(database, tmp_path, "--proxy", "127.0.0.1") as address, httpx.Client(base_url=address) as client:
        assert announce(client, 1).json()["observed"] == "20.0.1.1"
        assert client.post("/v0/announce", content=bytes(MATCH_BODY + 1), headers=AFAR).status_code == 413
    with serving(database, tmp_path) as address, httpx.Client(base_url=address) as client:
        assert client.get("/v0/status").json()["members"] == 1


def test_two_servers_share_a_postgresql(empty_postgresql: str, tmp_path: Path) -> None:
    with serving(empty_postgresql, tmp_path, "--proxy", "127.0.0.1") as one:
        (tmp_path / "two").mkdir()
        with serving(empty_postgresql, tmp_path / "two", "--proxy", "127.0.0.1") as two:
            with httpx.Client(base_url=one) as client:
                assert announce(client, 1).status_code == 200
            with httpx.Client(base_url=two) as client:
                assert client.get("/v0/status").json()["members"] == 1
                assert announce(client, 1, sequence=START).status_code == 409


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    assert shutil.which(BROWSER), "contrib/prepare test installs it"
    levels = [(16, Share(95)), (16, Share(99)), (18, Share(95)), (14, parse_uptime("mon-fri 08-18 Europe/Paris"))]
    with serving(str(tmp_path / "match.sqlite"), tmp_path, "--proxy", "127.0.0.1") as address:
        with httpx.Client(base_url=address) as client:
            for number in range(1, 25):
                storage, uptime = levels[number % 4]
                where = {
                    "site": PLACES[(number + number // 12) % 12],
                    "system": ("linux", "freebsd", "darwin")[number % 3],
                }
                what = {"storage": storage, "uptime": uptime, "needs": number % 5, "partners": number % 7}
                assert announce(client, number, **where, **what).status_code == 200
            for number in range(1, 12):
                reported = match_of(number, number + 12, storage_size(16))
                assert client.post("/v0/matches", json=reported, headers=AFAR).status_code == 204
        flags = ["--no-sandbox", "--disable-gpu", "--window-size=800,560", f"--user-data-dir={tmp_path / 'profile'}"]
        shot = tmp_path / "page.png"

        def browse(*what: str) -> str:
            command = [BROWSER, *flags, *what, address]
            done = subprocess.run(command, capture_output=True, timeout=60, check=True)
            return done.stdout.decode()

        seen = browse("--dump-dom", f"--screenshot={shot}")
        assert "<h1>coopfs matching server</h1>" in seen
        assert "mon-fri 08:00-18:00 Europe/Paris" in seen
        assert all(place in seen for place in PLACES)
        if not shot.exists():
            browse(f"--screenshot={shot}")
    pixels = colours(shot.read_bytes())
    assert pixels[FOUND] > 300
    assert pixels[LOOKED_FOR] > 300


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "nowhere"), "nowhere"),
        (("--certificate", "a.pem"), "both --certificate and --key"),
        (("--certificate", "/no/a.pem", "--key", "/no/b.pem"), "/no/a.pem cannot be read: No such file"),
        (("--certificate", __file__, "--key", "/no/b.pem"), "/no/b.pem cannot be read: No such file"),
        (("--certificate", __file__, "--key", __file__), f"{__file__} is no chain of certificates in PEM, or"),
        (("--proxy", "example.org"), "not an IP address"),
        (("--database", "/no/such/directory/match.sqlite"), "give a file in a directory that is there, or postgresql"),
        (("--database", "/"), "/ cannot be used: unable to open database file; give a file in"),
        (("--database", "postgresql://127.0.0.1:1/none"), "PostgreSQL"),
    ],
)
def test_what_an_operator_gets_wrong_is_one_line(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    listen = () if "--listen" in options else ("--listen", "127.0.0.1:0")
    database = () if "--database" in options else ("--database", str(tmp_path / "match.sqlite"))
    said = coopfs("match", "serve", *listen, *database, *options)
    assert said.code != 0
    assert words in said.line


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Anna," * 1000)
    said = coopfs("match", "serve", "--listen", "127.0.0.1:0", "--database", path)
    assert "cannot be used" in said.line
    assert "if it is an old one of this server, remove it" in said.line
    assert path.read_text() == "Dear Anna," * 1000
