"""The notebooks of `examples/` run from start to end, and show what they say."""

import json
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def cells(name: str, kind: str) -> list[str]:
    """The source of the cells of a kind."""
    book = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == kind]


def test_notebooks_are_kept_without_their_output():
    names = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))
    assert names == ["one_picture", "own_data"]
    for name in names:
        book = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
        code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
        assert code and not any(cell["outputs"] or cell["execution_count"] for cell in code)
        for source in cells(name, "code"):
            compile(source, name, "exec")


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Runs a notebook in an empty folder; what its code cells put out."""
    reason = "pip install 'falip[notebooks]' runs the notebooks"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def run(name: str):
        book = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
        client = nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
        client.execute()
        return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]

    return run


def kinds(outputs) -> list[str]:
    return [kind for output in outputs for kind in output.get("data", {})]


@pytest.mark.slow
def test_one_picture(executed):
    outputs = executed("one_picture")
    assert not [output for output in outputs if output.output_type == "error"]
    shown = kinds(outputs)
    assert shown.count("image/png") == 3  # the picture, and two of `falip.show`
    html = "".join(output["data"].get("text/html", "") for output in outputs if "data" in output)
    assert "Region: box (60, 80, 230, 250)" in html and "cls_row bias in layers [2, 3, 4, 5]" in html
    assert "% of the attention" in html


@pytest.mark.slow
def test_own_data(executed, tmp_path):
    outputs = executed("own_data")
    assert not [output for output in outputs if output.output_type == "error"]
    html = "".join(output["data"].get("text/html", "") for output in outputs if "data" in output)
    assert "stronger" in html and "p (McNemar, exact)" in html
    (folder,) = tmp_path.glob("falip-*")
    assert {path.suffix for path in (folder / "tables").iterdir()} == {".csv", ".md", ".tex"}
    assert len(list((folder / "results" / "runs").rglob("metrics.json"))) == 8
