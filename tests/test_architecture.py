"""The one direction of imports, configs -> benchmarks -> falip, and the house rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import falip

ROOT = Path(__file__).parent.parent
LIBRARY = sorted((ROOT / "falip").rglob("*.py"))
HARNESS = sorted((ROOT / "benchmarks").rglob("*.py"))
# The rooms in the order in which data flows: each imports from those before it and from falip, never upwards.
ROOMS = (
    "embedded", "acquire", "settings", "data", "measure", "records", "tasks", "run", "train", "published", "tables",
    "report", "figures", "speed", "notebook",
)  # fmt: skip
# Rooms and commands on records alone, which must start at once and run where torch is not.
WITHOUT_TORCH = ["settings", "measure", "records", "recombine", "compare", "published", "status", "tables", "report"]
WITHOUT_TORCH += ["backbones"]


def _imports(path: Path, lazy: bool = True, typing: bool = False) -> set[str]:
    """Modules that a file imports, with `a.b` for `from a import b`; those for type checking where asked."""
    tree = ast.parse(path.read_text())
    skipped = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    skipped = [] if typing else skipped
    if not lazy:
        skipped += [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    ignored = {child for node in skipped for child in ast.walk(node)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in ignored:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _top(modules: set[str]) -> set[str]:
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_library_knows_nothing_of_the_harness(path):
    assert not _top(_imports(path)) & {"benchmarks", "scripts", "configs", "hydra", "omegaconf", "pandas"}


@pytest.mark.parametrize("path", HARNESS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_harness_imports_no_scripts_and_no_tests(path):
    assert not _top(_imports(path)) & {"scripts", "tests", "configs"}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "tasks").glob("*.py")), ids=lambda p: p.stem)
def test_a_task_names_no_prompt(path):
    prompts = {f"falip.{name}" for name in falip.__all__ if falip._HOMES[name] == "falip.prompts"}
    assert not _imports(path) & prompts
    assert not any(module.startswith("falip.prompts") for module in _imports(path))


def _room(module: str) -> str:
    """The room of a module of the harness, or "" for what stands at its top."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else ""


def test_every_folder_of_the_harness_is_a_room_and_at_its_top_stand_commands():
    folders = {path.name for path in (ROOT / "benchmarks").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ROOMS)
    for path in (ROOT / "benchmarks").glob("*.py"):
        assert path.stem == "__init__" or 'if __name__ == "__main__"' in path.read_text(), f"{path} is no command"


@pytest.mark.parametrize("path", HARNESS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_room_imports_from_rooms_before_it(path):
    here = path.relative_to(ROOT / "benchmarks").parts
    allowed = ROOMS[: ROOMS.index(here[0]) + 1] if len(here) > 1 else ("", *ROOMS)
    for module in _imports(path):
        if module.startswith("benchmarks."):
            assert _room(module) in allowed, f"{path} imports {module}"


def test_no_two_files_import_each_other():
    paths = [path for path in [*LIBRARY, *HARNESS] if path.stem != "__init__"]
    names = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in paths}
    arrows = {name: _imports(path, typing=True) & set(names) for name, path in names.items()}
    assert not [(a, b) for a, found in arrows.items() for b in found if a < b and a in arrows[b]]


def test_a_prompt_names_no_task():
    for path in (ROOT / "configs" / "prompt").glob("*.yaml"):
        assert "task" not in {line.split(":")[0].strip() for line in path.read_text().splitlines()}, path
    for path in (ROOT / "configs" / "task").rglob("*.yaml"):
        assert "prompt" not in {line.split(":")[0].strip() for line in path.read_text().splitlines()}, path


def _without_torch() -> list[str]:
    return [name for name in WITHOUT_TORCH if list((ROOT / "benchmarks").glob(f"{name}*"))]


def test_what_works_on_records_does_not_import_torch():
    names = [f"benchmarks.{name}" for name in _without_torch()]
    assert len(names) > 5
    code = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", _without_torch())
def test_nor_does_it_inside_a_function(name):
    folder = ROOT / "benchmarks" / name
    for path in folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]:
        assert not _top(_imports(path)) & {"torch", "transformers"}, path


def test_files_and_functions_can_be_read_at_a_sitting():
    files = [*LIBRARY, *HARNESS, *(ROOT / "scripts").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    long = [path.relative_to(ROOT).as_posix() for path in files if len(path.read_text().splitlines()) >= 400]
    for path in [*LIBRARY, *HARNESS]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 50:
                long.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert not long


def test_there_is_no_drawer_for_everything():
    assert not [path for path in [*LIBRARY, *HARNESS] if path.stem in ("utils", "helpers", "misc", "common")]
