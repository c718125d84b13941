"""The documentation: it builds without a broken link, and what it prints runs as printed."""

import json
import os
import re
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from chromium import Page, executable

ROOT = Path(__file__).parent.parent
FALIP = "import sys; from benchmarks.console import main; sys.exit(main(sys.argv[1:]))"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


@pytest.fixture
def shell(tmp_path):
    """Runs words as a person would type them, in an empty folder with `falip` on the path."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    program = binaries / "falip"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{FALIP}" "$@"\n')
    program.chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    environment = os.environ | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"
    }  # fmt: skip

    def run(words: str, *, python: bool = False) -> str:
        command = [sys.executable, "-c", words] if python else ["bash", "-e", "-c", words]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return folder, run


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site; a broken link ends the building."""
    pytest.importorskip("mkdocs", reason="pip install 'falip[docs]' builds the site")
    pytest.importorskip("material", reason="pip install 'falip[docs]' builds the site")
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served, since a browser lets no page of a folder search it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(site):
    assert "load_backbone" in (site / "api" / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(executable() is None, reason="no Chromium here: apt-get install chromium")
def test_every_page_of_the_site_fits_every_window_in_light_and_dark(site, address, tmp_path):
    pages = [page.parent.relative_to(site).as_posix() for page in site.rglob("index.html")]
    assert len(pages) > 9
    papers = {"light": set(), "dark": set()}
    tab = Page(tmp_path / "profile")
    try:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source="localStorage.clear()")
        for scheme in papers:
            for width in (400, 800, 1400):
                tab.resize(width, 900, scheme)
                for page in pages:
                    tab.open(f"{address}/" if page == "." else f"{address}/{page}/")
                    assert tab.run("document.documentElement.scrollWidth") <= width, (page, width)
                    papers[scheme].add(tab.run("getComputedStyle(document.body).backgroundColor"))
        tab.resize(400, 900)
        tab.open(f"{address}/settings/")
        names = tab.run("[...document.querySelectorAll('tbody tr:first-child td')].map((td) => td.dataset.column)")
        assert names[:3] == ["point", "setting", "default, and why"]
        assert tab.run("getComputedStyle(document.querySelector('tbody td')).display") == "block"
        assert tab.errors == [] and len(papers["light"]) == len(papers["dark"]) == 1 < len(papers["light"] | papers["dark"])
    finally:
        tab.close()


@pytest.mark.slow
def test_the_first_hour_runs_as_printed(shell):
    folder, run = shell
    said = [run(block) for block in blocks(ROOT / "docs" / "first_hour.md", "bash")]
    assert len(said) == 5
    assert (folder / "results" / "report" / "index.html").is_file()
    assert "McNemar" in said[-1]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/own_prompt.md", "README.md"])
def test_the_prompt_of_one_file_runs_and_passes_lint_as_printed(shell, page):
    folder, run = shell
    code = next(block for block in blocks(ROOT / page, "python") if "class Spotlight" in block)
    settings = next(block for block in blocks(ROOT / page, "yaml") if "Spotlight" in block)
    (folder / "spotlight.py").write_text(code)
    (folder / "my" / "prompt").mkdir(parents=True)
    target = re.sub(r"_target_: .*Spotlight", "_target_: spotlight.Spotlight", settings)
    (folder / "my" / "prompt" / "spotlight.yaml").write_text(target)
    run(f"{sys.executable} -m ruff check --isolated --select E,F spotlight.py")
    own = blocks(ROOT / page, "bash") if page.startswith("docs") else []
    for block in own or ["falip sweep --config-dir my prompt=plain,spotlight task.limit=4"]:
        run(block)
    assert "spotlight" in run("falip status")


@pytest.mark.slow
def test_python_runs_as_printed(shell):
    (block,) = blocks(ROOT / "docs" / "python.md", "python")
    assert "strong" in shell[1](block, python=True)


@pytest.mark.slow
def test_tables_of_ones_own_run_with_four_commands(shell):
    folder, run = shell
    from PIL import Image, ImageDraw

    tables = blocks(ROOT / "docs" / "own_data.md", "csv")
    assert [table.splitlines()[0] for table in tables] == [
        "image,x0,y0,x1,y1,label", "image,id,x0,y0,x1,y1", "image,id,expression,target",
    ]  # fmt: skip
    picture = Image.new("RGB", (500, 400), "white")
    ImageDraw.Draw(picture).ellipse((40, 60, 220, 300), "red")
    picture.save(folder / "kitchen.jpg")
    for name, table in zip(("labels.csv", "boxes.csv", "expressions.csv"), tables, strict=True):
        (folder / name).write_text(table)
    for line in (
        "falip validate task=classification/csv task.dataset.file=labels.csv",
        "falip sweep task=classification/csv task.dataset.file=labels.csv prompt=plain,foveal,red_circle,crop",
        "falip sweep task=rec/csv task.dataset.candidates=boxes.csv task.dataset.expressions=expressions.csv prompt=crop",
        "falip tables",
        "falip report",
    ):
        run(line)
    table = (folder / "results" / "tables").glob("*.md")
    assert all("ublished" not in path.read_text() for path in table)


@pytest.mark.slow
def test_a_data_set_of_ones_own_class_runs_and_passes_lint_as_printed(shell):
    folder, run = shell
    from PIL import Image

    page = ROOT / "docs" / "own_data.md"
    (code,), (task,) = blocks(page, "python"), blocks(page, "yaml")
    (folder / "birds.py").write_text(code)
    (folder / "my" / "task" / "classification").mkdir(parents=True)
    (folder / "my" / "task" / "classification" / "birds.yaml").write_text(task)
    rows = [{"image": f"{bird}.png", "box": [10, 10, 60, 70], "bird": bird} for bird in ("wren", "robin")]
    (folder / "birds.json").write_text(json.dumps(rows))
    for row in rows:
        Image.new("RGB", (90, 80), "red").save(folder / row["image"])
    run(f"{sys.executable} -m ruff check --isolated --select E,F --line-length 124 birds.py")
    run("falip validate --config-dir my task=classification/birds")
    run("falip run --config-dir my task=classification/birds")
    assert "2 of 2" in run("falip status")


@pytest.mark.slow
def test_twelve_photos_become_a_table_a_report_and_a_comparison_with_four_commands(shell):
    folder, run = shell
    from PIL import Image, ImageDraw

    boxes = {"red circle": (10, 20, 90, 110), "blue circle": (110, 60, 190, 150)}
    labels, candidates, expressions = ["image,x0,y0,x1,y1,label"], ["image,id,x0,y0,x1,y1"], ["image,id,expression,target"]
    for i in range(12):
        photo = Image.new("RGB", (200, 160), "white")
        for name, box in boxes.items():
            ImageDraw.Draw(photo).ellipse(box, name.split()[0])
            edges = ",".join(map(str, box))
            labels.append(f"{i}.png,{edges},{name}")
            candidates.append(f"{i}.png,{name},{edges}")
            expressions.append(f"{i}.png,{i}{name},the {name},{name}")
        photo.save(folder / f"{i}.png")
    for name, lines in (("labels", labels), ("candidates", candidates), ("expressions", expressions)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    for task, files in (
        ("classification", "task.dataset.file=labels.csv"),
        ("rec", "task.dataset.candidates=candidates.csv task.dataset.expressions=expressions.csv"),
    ):
        runs = f"results/runs/{task}/csv/all/tiny"
        run(f"falip sweep task={task}/csv {files} prompt=plain,foveal,crop")
        assert "| foveal " in run(f"falip tables --task {task}")
        assert "pairs: 24" in run(f"falip compare {runs}/crop/* {runs}/plain/*")
        run("falip report")
        assert (folder / "results" / "report" / "index.html").stat().st_size > 10_000
