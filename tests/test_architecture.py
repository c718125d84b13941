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
# Commands on records alone, which must start at once and run where torch is not.
WITHOUT_TORCH = ["statistics", "metrics", "records", "runs", "recombine", "published", "status", "tables", "report"]


def _imports(path: Path, lazy: bool = True) -> set[str]:
    """Modules that a file imports, with `a.b` for `from a import b`; type checking aside."""
    tree = ast.parse(path.read_text())
    skipped = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
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
