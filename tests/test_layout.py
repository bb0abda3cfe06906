"""The house rules that a linter does not know: twins, sizes, sorted exports, and imports that run one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hf_equi"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = MODULES + sorted(
    path
    for name in ("tests", "examples", "benchmarks")
    for path in (ROOT / name).rglob("*.py")
    if ROOT / "tests" / "data" not in path.parents
)

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# A module may import from its own layer and from lower ones; what stands in one row does not know its neighbours.
LAYERS = (
    {"errors"},
    {"checks"},
    {"auto_classes"},
    {"registration"},
    {"groups"},
    {"actions"},
    {"symmetrizers", "testing"},
    {"bases"},
    {"canonicalization", "generation", "networks"},
    {"models"},
    {"auto"},
    {"fairness", "hub", "training"},
    {"cli"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# What a layer may import from outside, apart from the standard library. None: anything that is installed.
THIRD_PARTIES = {
    "errors": set(),
    "checks": set(),
    "groups": {"sympy", "torch"},
    "actions": {"kornia", "sympy", "torch"},
    "symmetrizers": {"torch"},
    "testing": {"torch"},
}
# The package's own __init__ and its private files tie the layers together, by imports inside functions.
LAYERED = [path for path in MODULES if not (path.parent == PACKAGE and path.name.startswith("_"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`, which run for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from run_time_nodes(node)


def imported_modules(path: Path) -> list[str]:
    """Full names of what a module imports when it runs, inside functions too."""
    names = []
    for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*package, *filter(None, [node.module])])
            names += [f"{module}.{alias.name}" for alias in node.names] if module == "hf_equi" else [module]
    return names


def exports(path: Path) -> list[str] | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def export_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as the linter sorts them."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.casefold()


def test_the_walk_found_the_package() -> None:
    assert PACKAGE / "errors.py" in MODULES
    assert set(map(layer, LAYERED)) <= set(RANK), "a new part of the package needs its place in LAYERS"


@pytest.mark.parametrize("path", [path for path in MODULES if not path.name.startswith("_")], ids=relative)
def test_module_has_its_twin_among_the_tests(path: Path) -> None:
    twin = ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}")
    assert twin.is_file(), f"{relative(path)} needs {relative(twin)}"


@pytest.mark.parametrize("path", [path for path in MODULES if path != PACKAGE / "__init__.py"], ids=relative)
def test_module_lists_what_it_exports_in_order(path: Path) -> None:
    names = exports(path)
    assert names is not None, f"{relative(path)} needs a literal __all__"
    assert names == sorted(set(names), key=export_order)


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {function.name: function.end_lineno - function.lineno + 1 for function in functions}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", LAYERED, ids=relative)
def test_imports_run_one_way(path: Path) -> None:
    own = layer(path)
    inside = [name for name in imported_modules(path) if name.split(".")[0] == "hf_equi"]
    parts = {name.split(".")[1] for name in inside} - {"__version__", own}
    assert {part for part in parts if RANK.get(part, len(LAYERS)) >= RANK[own]} == set()


@pytest.mark.parametrize("path", [path for path in LAYERED if layer(path) in THIRD_PARTIES], ids=relative)
def test_lower_layers_import_few_packages(path: Path) -> None:
    import sys

    packages = {name.split(".")[0] for name in imported_modules(path)} - set(sys.stdlib_module_names)
    assert packages - {"hf_equi"} <= THIRD_PARTIES[layer(path)]
