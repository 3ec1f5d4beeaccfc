"""The house: floors import downwards, and `import pnnjax` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "pnnjax"
FILES = sorted(ROOT.rglob("*.py"))

# Room -> floor; a file is on the floor of its own name if it has one, or its folder's.
FLOORS = {
    "integrators": 1,
    "_types": 1,
    "_fast_random": 1,
    "_fast_angles": 1,
    "_layer": 2,
    "_equilibrium": 2,
    "_motion": 2,
    "_scattering": 2,
    "_estimator": 2,
    "_frozen": 2,
    "_objective": 2,
    "_search": 2,
    "_readout": 2,
    "_analog_memory": 2,
    "_batch": 2,
    "_physical": 2,
    "_claims": 2,
    "optics": 3,
    "quantum": 3,
    "circuits": 3,
    "oscillators": 3,
    "spins": 3,
    "waves": 3,
    "estimators": 3,
    "objectives": 3,
    "optimizers": 3,
    "imperfections": 3,
    "data": 3,
    "devices": 4,
    "_checkpoint": 5,
    "_diagnose": 5,
    "_history": 5,
    "_parts": 5,
    "_progress": 5,
    "_session": 5,
    "_step": 5,
    "_fit": 5,
    "_processes": 5,
    "_sharding": 5,
    "devices/_calibration": 5,
    "plots": 6,
    "zoo": 7,
    "sweeps": 8,
    "_commands": 9,
    "_cli": 9,
    "__main__": 9,
    "__init__": 9,
}
DOMAINS = {"circuits", "optics", "oscillators", "quantum", "spins", "waves"}
HEAVY = (
    "matplotlib",
    "evosax",
    "lineax",
    "optimistix",
    "sklearn",
    "scipy.stats",
    "rich",
    "typer",
    "pooch",
    "pandas",
    "polars",
    "ray",
)


def room(path: Path) -> str:
    relative = path.relative_to(ROOT)
    if relative.with_suffix("").as_posix() in FLOORS:
        return relative.with_suffix("").as_posix()
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_rooms(path: Path) -> set[str]:
    """The rooms of this package that a file imports from."""
    rooms = set()
    depth = len(path.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [a.name for a in node.names]
            rooms |= {name.split(".")[0] for name in names}
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "pnnjax"
        ):
            parts = node.module.split(".")
            rooms.add(parts[1] if len(parts) > 1 else "__init__")
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_lower_floors(path):
    here = room(path)
    for other in imported_rooms(path) - {here}:
        assert FLOORS[other] <= FLOORS[here], f"{here} imports {other}"
        if {here, other} & DOMAINS and FLOORS[here] == FLOORS[other] == 3:
            # A domain and an estimator meet in `Physical` alone.
            assert other not in DOMAINS and here != "estimators"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node) or ""
            length = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_abstract_or_final(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None)
            assert name not in ("super", "hasattr"), f"line {node.lineno}: {name}"
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                name = ast.unparse(base).split("[")[0].split(".")[-1]
                known = name.startswith("Abstract") or name in LIBRARY_BASES
                assert known, f"{node.name} inherits from {name}, which is final"


LIBRARY_BASES = {
    "Module",
    "NamedTuple",
    "Generic",
    "Protocol",
    "Enum",
    "Exception",
    "RuntimeError",
    "ValueError",
    "OSError",
    "LookupError",
    "UserWarning",
    "FloatingPointError",
    "FileNotFoundError",
    "FileExistsError",
    "KeyboardInterrupt",
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_and_public_name_has_a_docstring(path):
    if path.name in ("__init__.py", "__main__.py"):
        return
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert node.name.startswith("_") or ast.get_docstring(node), node.name


def seconds_to_import(names: str) -> float:
    clock = "time.process_time()"
    code = f"import time; t = {clock}; import {names}; print({clock} - t)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return float(out.stdout)


def test_import_costs_less_than_half_more_than_what_it_stands_on():
    names = "pnnjax", "equinox, optax"
    # The least of three in turns: what else the machine does only adds to it.
    rounds = [[seconds_to_import(name) for name in names] for _ in range(3)]
    ours, theirs = map(min, zip(*rounds, strict=True))
    assert ours < 1.5 * theirs


def test_heavy_libraries_are_imported_when_used():
    code = "import sys, pnnjax; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(out.stdout.split())
    assert not loaded & set(HEAVY)
