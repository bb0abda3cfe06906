"""The house rules that a linter does not know: twins, sizes, sorted exports, and imports that run one way."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

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
    {"display"},
    {"errors"},
    {"checks", "figures", "stubs"},
    {"auto_classes"},
    {"registration"},
    {"groups"},
    {"actions"},
    {"symmetrizers", "testing"},
    {"bases"},
    {"canonicalization", "generation", "networks"},
    {"models"},
    {"auto"},
    {"environments", "fairness", "hub", "training"},
    {"demo", "image_audit"},
    {"cli"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# What a layer may import from outside, apart from the standard library. None: anything that is installed.
THIRD_PARTIES = {
    "errors": set(),
    "checks": set(),
    "display": set(),
    "figures": set(),
    "stubs": set(),
    "groups": {"inflect", "sympy", "torch"},
    "actions": {"kornia", "sympy", "torch"},
    "symmetrizers": {"torch"},
    "testing": {"torch"},
}
# The package's own __init__ and its private files tie the layers together, by imports inside functions.
LAYERED = [path for path in MODULES if not (path.parent == PACKAGE and path.name.startswith("_"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(text(path))


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def run_time_nodes(tree: ast.AST, at_once: bool = False) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`, which run for type checkers alone, and some but in functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if at_once and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        yield from run_time_nodes(node, at_once)


def imported_modules(path: Path) -> list[str]:
    """Full names of what a module imports when it runs, inside functions too."""
    names = []
    for node in run_time_nodes(parsed(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*package, *filter(None, [node.module])])
            names += [f"{module}.{alias.name}" for alias in node.names] if module == "hf_equi" else [module]
    return names


def modules_by_name() -> dict[str, Path]:
    dotted = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    return {name.removesuffix(".__init__"): path for name, path in dotted.items()}


def named_modules(nodes: Iterable[ast.AST], known: Collection[str]) -> set[str]:
    """The modules that `from` imports name: of what a package has, the module itself."""
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    named = {(node.module or "", f"{node.module}.{alias.name}") for node in imports for alias in node.names}
    return {full if full in known else module for module, full in named} & {*known}


def loaded_modules(name: str) -> set[str]:
    """What an import of a module loads, itself and the packages around it included."""
    files, found, waiting = modules_by_name(), set(), {name}
    while waiting:
        found |= waiting
        around = {".".join(one.split(".")[:length]) for one in waiting for length in range(2, one.count(".") + 1)}
        imported = {other for one in waiting for other in imported_at_once(files[one])}
        waiting = (around | imported) - found - {"hf_equi"}
    return found


@cache
def imported_at_once(path: Path) -> frozenset[str]:
    return frozenset(named_modules(run_time_nodes(parsed(path), at_once=True), modules_by_name().keys()))


def exports(path: Path) -> list[str] | None:
    for node in parsed(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def long_functions(name: str, source: str) -> list[str]:
    """Where functions begin that are too long, of all that a file holds."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [(node.lineno, node.name, node.end_lineno - node.lineno + 1) for node in functions]
    return [
        f"{name}:{line}:{function} has {length} lines"
        for line, function, length in sorted(lengths)
        if length > MAX_FUNCTION_LINES
    ]


def export_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as the linter sorts them."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.casefold()


def test_the_walk_found_the_package() -> None:
    assert PACKAGE / "errors.py" in MODULES
    assert set(map(layer, LAYERED)) <= set(RANK), "a new part of the package needs its place in LAYERS"


def test_every_module_has_its_twin_among_the_tests() -> None:
    twins = {
        path: ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}")
        for path in MODULES
        if not path.name.startswith("_")
    }
    offenders = [f"{relative(path)} needs {relative(twin)}" for path, twin in twins.items() if not twin.is_file()]
    assert not offenders, "\n".join(offenders)


def test_every_module_lists_what_it_exports_in_order() -> None:
    offenders = []
    for path in MODULES:
        if path.with_suffix(".pyi").is_file():  # where its names stand
            continue
        names = exports(path)
        if names is None:
            offenders.append(f"{relative(path)} needs a literal __all__")
        elif names != (ordered := sorted(set(names), key=export_order)):
            offenders.append(f"{relative(path)} exports {names} instead of {ordered}")
    assert not offenders, "\n".join(offenders)


def test_what_is_exported_has_an_example() -> None:
    stub = (PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    exported = set(re.findall(r"^(?:    |from hf_equi\.\S+ import )(\w+) as", stub, re.MULTILINE))
    found = [
        (node.name, "Example:" in (ast.get_docstring(node) or ""))
        for path in MODULES
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in exported
    ]
    assert {name for name, shown in found if not shown} <= {"register_task", "register_method"}
    assert len(found) > 30


def test_files_are_short() -> None:
    assert len(SOURCES) > len(MODULES)
    lengths = {relative(path): len(text(path).splitlines()) for path in SOURCES}
    offenders = [f"{name} has {length} lines" for name, length in lengths.items() if length > MAX_FILE_LINES]
    assert not offenders, "\n".join(offenders)


def test_functions_are_short() -> None:
    offenders = [line for path in SOURCES for line in long_functions(relative(path), text(path))]
    assert not offenders, "\n".join(offenders)


def test_of_functions_of_one_name_all_are_measured() -> None:
    method = "    def run(self):\n" + "        pass\n" * MAX_FUNCTION_LINES
    source = f"class A:\n{method}class B:\n    async def run(self):\n        pass\n"
    length = MAX_FUNCTION_LINES + 1
    assert long_functions("one.py", source) == [f"one.py:2:run has {length} lines"]
    assert long_functions("one.py", source + f"class C:\n{method}".replace("def", "async def")) == [
        f"one.py:2:run has {length} lines",
        f"one.py:{length + 6}:run has {length} lines",
    ]


def test_imports_run_one_way() -> None:
    offenders = []
    for path in LAYERED:
        own = layer(path)
        inside = [name for name in imported_modules(path) if name.split(".")[0] == "hf_equi"]
        parts = {name.split(".")[1] for name in inside} - {"__version__", own}
        upwards = sorted(part for part in parts if RANK.get(part, len(LAYERS)) >= RANK[own])
        offenders += [f"{relative(path)} imports {part}" for part in upwards]
    assert not offenders, "\n".join(offenders)


def test_lower_layers_import_few_packages() -> None:
    offenders = []
    for path in LAYERED:
        allowed = {"hf_equi", *sys.stdlib_module_names, *THIRD_PARTIES.get(layer(path), ())}
        packages = {name.split(".")[0] for name in imported_modules(path)}
        if layer(path) in THIRD_PARTIES:
            offenders += [f"{relative(path)} imports {name}" for name in sorted(packages - allowed)]
    assert not offenders, "\n".join(offenders)


def test_no_files_import_each_other_in_a_circle() -> None:
    """Not even for type checkers."""
    files = modules_by_name()
    graph = {
        name: named_modules(ast.walk(parsed(path)), files.keys()) - {name, "hf_equi"} for name, path in files.items()
    }
    assert sum(map(len, graph.values())) > len(files)
    list(TopologicalSorter(graph).static_order())  # which raises an error that names the circle


def test_what_runs_the_rows_of_an_orbit_is_named_on_the_page() -> None:
    page = text(ROOT / "docs" / "architecture.md")
    one, other = page.index("There are two readers"), page.index("Where the members of a sequence-to-sequence model")
    calls = re.compile(r"\b(?:call_base|prepared_call|in_chunks)\(")
    # What wraps a base for peft is a base itself.
    found = {relative(path) for path in MODULES if "peft" not in path.parts and calls.search(text(path))}
    found -= {"hf_equi/generation/base_call.py", "hf_equi/bases/chunks.py"}  # the functions themselves
    assert len(found) == 8
    assert {path for path in found if path.removeprefix("hf_equi/") not in page[one:other]} == set()


def test_nothing_asks_for_the_name_of_a_method() -> None:
    names = "equitune|equizero|lambda|attention|mixture|canonical|canonical_lambda|identity"
    asks = re.compile(rf"""(?:[=!]=|\bin) *[(\[{{]?(?:None, *)?["'](?:{names})["']""")
    assert {relative(path) for path in MODULES if asks.search(text(path))} == set()


def folder_of_models(name: str) -> str:
    """The folder of `hf_equi.models` that a module lies in."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["hf_equi", "models"] and len(parts) > 2 else ""


def test_models_of_texts_and_of_images_do_not_load_each_other() -> None:
    """Nor does what both load."""
    sides = ({"text", "causal_lm", "seq2seq"}, {"vision", "clip", "image_classification"})
    offenders = []
    for own, other in (sides, sides[::-1]):
        for name in (name for name in modules_by_name() if folder_of_models(name) in own):
            offenders += [f"{name} loads {one}" for one in loaded_modules(name) if folder_of_models(one) in other]
    assert not offenders, "\n".join(offenders)


def test_tasks_do_not_import_each_other() -> None:
    files = {name: path for name, path in modules_by_name().items() if "models" in name}
    tasks = {folder_of_models(name) for name, path in files.items() if path.name.startswith("modeling_")} - {""}
    assert len(tasks) >= 4
    offenders = []
    for name, path in files.items():
        strays = {folder_of_models(one) for one in imported_modules(path)} & tasks - {folder_of_models(name)}
        offenders += [f"{name} imports {one}" for one in strays if folder_of_models(name) in tasks]
    assert not offenders, "\n".join(offenders)
