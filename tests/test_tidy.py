"""The rules of the house that a machine can check: who may import whom, how large things get, what never occurs."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import coopfs
from coopfs import limits

ROOT = Path(coopfs.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 70

# What a room may import besides itself (design section 7). Rooms of one line of that section do not know each other,
# except that fs works on the inodes and extents that local keeps.
BASE = {"", "types", "errors", "limits", "config", "schedule", "sizes", "levels", "zones", "configtext"}
CORE = BASE | {"core"}
TASKS = CORE | {"fs", "net", "local"}
APP = TASKS | {"tasks"}
ALLOWED = {
    **dict.fromkeys(BASE, BASE),
    "core": BASE,
    "local": CORE,
    "net": CORE,
    "fs": CORE | {"local"},
    "tasks": TASKS,
    "app": APP | {"control", "match"},
    "control": APP,
    "match": CORE | {"net"},
    "cli": APP | {"app", "demo", "match"},
    "demo": APP | {"app", "cli"},
    "__main__": {"cli"},
}

# What a group of modules may import of the other groups in its room; "": the modules beside the groups, which in tasks
# are below them all, and in app above, but for these.
GROUPS: dict[str, dict[str, set[str]]] = {
    "tasks": {
        "": set(),
        "reading": {""},
        "writing": {"", "reading"},
        "checking": {"", "reading", "writing"},
        "cleaning": {"", "reading", "writing", "checking"},
        "reshaping": {"", "writing", "cleaning"},
        "recovery": {"", "reading", "writing"},
    },
    "app": {"": {"disk", "partners", "recovery"}, "disk": set(), "partners": {"disk"}, "recovery": set()},
}
BELOW_APP = {"coopfs.app.rates", "coopfs.app.requests"}

NOT_IN_CORE = {"asyncio", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3", "ssl"}
NOT_IN_CORE |= {"subprocess", "tempfile", "threading", "time", "trio"}

UNITS = {"KIB", "MIB"}  # constants of limits.py that explain themselves


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT.parent))


def room_of(module: str) -> str:
    """`coopfs.net.link` lives in `net`; `coopfs` itself in ``."""
    return module.partition(".")[2].partition(".")[0]


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Full names of all that is imported, wherever the statement stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            assert node.module is not None
            if node.module == "coopfs":
                for alias in node.names:
                    yield "coopfs" if alias.name.startswith("__") else f"coopfs.{alias.name}"
            else:
                yield node.module


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.fixture(params=MODULES, ids=name_of)
def module(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def test_imports_run_one_way(module: Path, tree: ast.Module) -> None:
    room = module.relative_to(ROOT).with_suffix("").parts[0]
    room = "" if room == "__init__" else room
    assert room in ALLOWED, f"{room} has no place in the layers"
    ours = {room_of(name) for name in imports_of(tree) if name.split(".")[0] == "coopfs"}
    assert ours - {room} <= ALLOWED[room]


@pytest.mark.parametrize("room", GROUPS)
def test_groups_import_one_way(room: str) -> None:
    allowed, found = GROUPS[room], set()
    for path in sorted((ROOT / room).rglob("*.py")):
        group = _group_of(room, path.relative_to(ROOT.parent).with_suffix("").parts)
        found.add(group)
        for name in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
            if room_of(name) == room and name not in BELOW_APP:
                other = _group_of(room, (*name.split("."), ""))
                assert other == group or other in allowed[group], f"{name_of(path)} imports {name}"
    assert found == set(allowed)


def _group_of(room: str, parts: Sequence[str]) -> str:
    """Of a module's name in parts: the folder below its room, "" if it lies beside the folders."""
    return parts[2] if len(parts) > 3 and (ROOT / room / parts[2]).is_dir() else ""


def test_core_is_pure(module: Path, tree: ast.Module) -> None:
    if "core" in module.relative_to(ROOT).parts:
        assert not {name.split(".")[0] for name in imports_of(tree)} & NOT_IN_CORE


def test_module_has_a_docstring_and_fits_its_noun(module: Path, tree: ast.Module) -> None:
    assert ast.get_docstring(tree)
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES


def test_functions_fit_a_screen(tree: ast.Module) -> None:
    long = {
        f.name: size for f in functions_of(tree) if (size := (f.end_lineno or 0) - f.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert not long


def test_nothing_is_left_to_do(module: Path, tree: ast.Module) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", module.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Name) and node.id == "NotImplementedError"), f"stub in line {node.lineno}"


def test_unexpected_exceptions_are_not_caught(module: Path, tree: ast.Module) -> None:
    """Except where a kernel request must be answered whatever happens: one place in fs, which says why. Handlers that
    raise again catch nothing."""
    source = module.read_text(encoding="utf-8").splitlines()
    broad = [
        handler.lineno
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler)
        and (handler.type is None or getattr(handler.type, "id", "") in ("Exception", "BaseException"))
        and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    ]
    boundary = [line for line in broad if re.search(r"# noqa: BLE001\W+\w+", source[line - 1])]
    assert broad == boundary
    assert len(boundary) <= (1 if "fs" in module.relative_to(ROOT).parts else 0)


def test_only_the_command_line_prints(module: Path, tree: ast.Module) -> None:
    if module.relative_to(ROOT).parts[0] in ("cli", "demo"):
        return
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"]
    assert not [call.lineno for call in calls]


def limit_names() -> list[str]:
    return [name for name in vars(limits) if name.isupper()]


def test_every_limit_says_why() -> None:
    text = Path(limits.__file__).read_text(encoding="utf-8")
    comments = {
        token.start[0]: token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    silent = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            reason = " ".join(comments[line] for line in lines if line in comments)
            if name not in UNITS and len(reason.split()) < 3:
                silent.append(name)
    assert not silent


def test_every_limit_is_used() -> None:
    used: set[str] = set()
    for path in MODULES:
        inside = path == Path(limits.__file__)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "limits":
                used.add(node.attr)
            elif isinstance(node, ast.ImportFrom) and node.module == "coopfs.limits":
                used |= {alias.name for alias in node.names}
            elif inside and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
    unused = sorted(set(limit_names()) - used)
    assert not unused
