"""Reed-Solomon coding, against the code written down anew from its definition."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import codec, galois
from coopfs.core.galois import Engine

ISAL = galois.load_isal()
ENGINES = [galois.Zfec(), *([ISAL] if ISAL else [])]
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: type(engine).__name__)

# --- the code as coopfs-format(5) defines it --------------------------------------------------------------------------
EXP = [1] * 510
for _i in range(1, 510):
    _double = EXP[_i - 1] << 1
    EXP[_i] = _double ^ 0x11D if _double > 255 else _double
LOG = {EXP[i]: i for i in range(255)}


def times(a: int, b: int) -> int:
    return EXP[LOG[a] + LOG[b]] if a and b else 0


def power(x: int, exponent: int) -> int:
    result = 1
    for _ in range(exponent):
        result = times(result, x)
    return result


def product(a: list[list[int]], b: list[list[int]]) -> list[list[int]]:
    rows = []
    for row in a:
        sums = [0] * len(b[0])
        for x, other in zip(row, b, strict=True):
            sums = [s ^ times(x, y) for s, y in zip(sums, other, strict=True)]
        rows.append(sums)
    return rows


def inverse(matrix: list[list[int]]) -> list[list[int]]:
    size = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = next(r for r in range(i, size) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        scale = EXP[255 - LOG[rows[i][i]]]
        rows[i] = [times(scale, x) for x in rows[i]]
        for r in range(size):
            if r != i and (factor := rows[r][i]):
                rows[r] = [x ^ times(factor, y) for x, y in zip(rows[r], rows[i], strict=True)]
    return [row[size:] for row in rows]


def generator(k: int, n: int) -> list[list[int]]:
    points = [0, *(EXP[i] for i in range(n - 1))]
    vandermonde = [[power(x, c) for c in range(k)] for x in points]
    return product(vandermonde, inverse(vandermonde[:k]))


def shards_of(k: int, length: int) -> list[bytes]:
    return [bytes((17 * j + 31 * i + i * i) % 256 for i in range(length)) for j in range(k)]


@pytest.mark.parametrize(("k", "m"), [(1, 1), (1, 3), (2, 1), (3, 5), (6, 2), (6, 6), (20, 10), (56, 6)])
@each_engine
def test_the_code_is_the_one_of_the_manual(k: int, m: int, engine: Engine) -> None:
    data = shards_of(k, 8)
    columns = product(generator(k, k + m), [list(shard) for shard in data])
    assert [bytes(column) for column in columns] == [*data, *codec.encode(k, m, data, engine)]


def test_golden_vector() -> None:
    data = [b"coop", b"erat", b"ive "]
    assert [shard.hex() for shard in codec.encode(3, 2, data)] == ["6fd123ad", "1b048a3e"]
    assert codec.tag(bytes(range(32)), data).hex() == "9c79f51c43db9cc1967f79d490aa4c7d"


@pytest.mark.parametrize(("k", "m"), [(1, 0), (1, 1), (1, 3), (2, 2), (3, 3), (6, 2)])
@each_engine
def test_any_k_of_n_shards_give_the_data_back(k: int, m: int, engine: Engine) -> None:
    data = shards_of(k, 100)
    columns = dict(enumerate([*data, *codec.encode(k, m, data, engine)]))
    for size in range(k, k + m + 1):
        for chosen in combinations(columns, size):
            assert codec.decode(k, m, {j: columns[j] for j in chosen}, engine) == data


def test_this_machine_has_the_fast_engine() -> None:
    assert ISAL is not None, "contrib/prepare installs libisal2"


@each_engine
@given(st.data())
def test_any_k_of_n_shards_of_any_content(engine: Engine, data: st.DataObject) -> None:
    k, m = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    length = data.draw(st.integers(1, 300))
    shards = [data.draw(st.binary(min_size=length, max_size=length)) for _ in range(k)]
    columns = [*shards, *codec.encode(k, m, shards, engine)]
    chosen = data.draw(st.permutations(range(k + m)))[:k]
    assert codec.decode(k, m, {j: columns[j] for j in chosen}, engine) == shards
    assert columns == [codec.column(k, m, shards, j) for j in range(k + m)]


@each_engine
def test_shards_may_lie_anywhere(engine: Engine) -> None:
    data = shards_of(3, 1000)
    wanted = codec.encode(3, 2, data, engine)
    inside = [memoryview(bytearray(b"x" + shard))[1:] for shard in data]
    assert codec.encode(3, 2, inside, engine) == wanted
    assert codec.encode(3, 2, [memoryview(b"x" + shard)[1:] for shard in data], engine) == wanted
    assert codec.decode(3, 2, {1: inside[1], 3: wanted[0], 4: wanted[1]}, engine) == data


def test_the_tag_depends_on_every_shard_and_on_the_key() -> None:
    data = shards_of(3, 50)
    tags = {codec.tag(bytes(32), data), codec.tag(bytes([1]) * 32, data)}
    tags |= {codec.tag(bytes(32), [*data[:j], bytes(50), *data[j + 1 :]]) for j in range(3)}
    assert len(tags) == 5
    assert all(len(tag) == codec.TAG for tag in tags)
