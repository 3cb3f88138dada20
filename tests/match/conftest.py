"""A register on each engine; PostgreSQL is Debian's, started here on a socket of its own."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import coopfs
from coopfs.match.engines import Engine
from coopfs.match.serve import open_engine
from tests.match.members import Server

sys.path.insert(0, str(Path(coopfs.__file__).parent.parent / "contrib"))

from suitelib import postgres


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of an empty database. Its owner must get at it, so it is not below pytest's own directory, to which
    each run of pytest takes others' permission away."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="coopfs-match-") as name:
        top = Path(name)
        top.chmod(0o755)
        postgres.initialise(top / "data")
        with postgres.server(top / "data") as reach:
            sockets = reach[reach.index("-h") + 1]
            yield f"postgresql://{postgres.owner()}@/{postgres.DATABASE}?host={sockets}"


@pytest.fixture
def empty_postgresql(postgresql: str) -> Iterator[str]:
    """The same, and empty again for the next one."""
    yield postgresql
    with psycopg.connect(postgresql) as connection:
        connection.execute("DROP TABLE IF EXISTS members, bonds, matches")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What --database says; nobody has announced itself there."""
    if request.param == "sqlite":
        return str(tmp_path / "match.sqlite")
    address: str = request.getfixturevalue("empty_postgresql")
    return address


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    opened = open_engine(database)
    yield opened
    opened.close()


@pytest.fixture
def server(engine: Engine) -> Server:
    return Server(engine)
