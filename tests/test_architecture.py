"""The import table of the house plan, and what may not import torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import diascope

SOURCE = Path(diascope.__file__).parent
LEVEL = {
    **dict.fromkeys(("core", "config", "studyfile", "metrics"), 0),
    **dict.fromkeys(("data", "models", "training", "runs"), 1),
    **dict.fromkeys(("predict", "engine", "features", "compare", "audit"), 2),
    **dict.fromkeys(("explain", "probes", "study", "report"), 3),
    "app": 4,
    **dict.fromkeys(("serve", "cli", "api", "recipes"), 5),
    "__main__": 6,
}
LEVEL_0 = {room for room, level in LEVEL.items() if level == 0}
READERS = {"runs", "compare"} | LEVEL_0
# Rooms that may import less than the levels below them, or one room of their own level.
MAY_IMPORT = {
    "compare": {"runs"} | LEVEL_0,
    "report": READERS,
    "probes": {room for room, level in LEVEL.items() if level < 3} | {"explain"},
    "study": {room for room, level in LEVEL.items() if level < 3} | {"explain"},
    "serve": {"report"} | READERS,
    "engine": {room for room, level in LEVEL.items() if level < 2} | {"features", "predict"},
    "cli": set(LEVEL) - {"api"},
    "api": set(LEVEL),
    "recipes": LEVEL_0,
}
WITHOUT_TORCH = (
    "core.errors core.findings core.files core.statistics config studyfile metrics data.index data.readers data.split "
    "data.cache data.phantoms data.dicom data.dicom_groups "
    "audit.checks audit.audit_files report.audit_page "
    "runs.folder runs.record runs.provenance compare report report.page report.charts report.summary recipes cli"
).split()


def room_of(module: str) -> str:
    """`diascope.data.index` -> data."""
    return module.split(".")[1]


def modules() -> list[str]:
    return sorted(".".join(file.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
                  for file in SOURCE.rglob("*.py"))  # fmt: skip


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """The modules of Diascope that `module` imports, and whether it does so at its top level."""
    path = SOURCE.parent.joinpath(*module.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    inside = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} imports relatively"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if is_module(name) else node.module for name in inner]
        for name in dict.fromkeys(names):
            if name.split(".")[0] == "diascope":
                yield name, node not in inside


def is_module(name: str) -> bool:
    place = SOURCE.parent.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


@pytest.mark.parametrize("module", [name for name in modules() if name != "diascope"])
def test_imports_go_down_only(module: str) -> None:
    room = room_of(module)
    allowed = MAY_IMPORT.get(room, {other for other, level in LEVEL.items() if level < LEVEL[room]})
    if LEVEL[room] == 0:
        allowed = LEVEL_0
    for imported, _ in imports(module):
        assert imported != "diascope", f"{module} may not import the package, which imports everything"
        assert room_of(imported) in allowed | {room}, f"{module} may not import {imported}"


def test_there_are_no_import_cycles() -> None:
    """The package itself counts: `import diascope` imports it, whoever writes that."""
    known = set(modules())
    graph = {name: {imported for imported, _ in imports(name)} & known - {name} for name in known}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_cli_imports_heavy_rooms_inside_its_functions() -> None:
    light = {"core", "cli", "config", "studyfile"}
    for module in modules():
        if room_of(f"{module}.") == "cli" and not module.endswith("display"):
            heavy = [name for name, top in imports(module) if top and room_of(name) not in light]
            assert not heavy, f"{module} imports {heavy} before its command is called"


def run_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_light() -> None:
    run_python("import sys, diascope; assert not {'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)")


def test_these_rooms_do_not_import_torch() -> None:
    names = ", ".join(f"diascope.{name}" for name in WITHOUT_TORCH)
    run_python(f"import sys, {names}; assert 'torch' not in sys.modules")


def test_help_does_not_import_what_it_does_not_need() -> None:
    run_python(
        "import sys; sys.argv = ['diascope', '--help']\n"
        "from diascope.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'numpy', 'pandas', 'sklearn', 'altair', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )


def test_benchmarks_import_what_there_is() -> None:
    files = sorted((Path(__file__).parent.parent / "benchmarks").rglob("*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "diascope":
                module = import_module(str(node.module))
                for name in (alias.name for alias in node.names):
                    inside = hasattr(module, "__path__") and find_spec(f"{node.module}.{name}")
                    assert hasattr(module, name) or inside, f"{file.name}: {node.module} has no {name}"
