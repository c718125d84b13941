"""Edited code without a raised version is noticed."""

import json
import logging
import sys
from pathlib import Path

import pytest

from benchmarks.settings import sources
from benchmarks.settings.sources import changed_sources, source_hashes
from falip import Compose, Ensemble, Foveal, RedCircle

MODULE = '''
from dataclasses import dataclass

@dataclass(frozen=True)
class Brighter:
    """Words."""
    by: float = 2.0

    def edit(self, x):
        return x * self.by  # a comment
'''


@pytest.fixture
def brighter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes the module anew and says what its class hashes to."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def hashed(text: str) -> str:
        (tmp_path / "brighter.py").write_text(text)
        monkeypatch.delitem(sys.modules, "brighter", raising=False)
        sources._hash.cache_clear()
        import brighter  # pyright: ignore[reportMissingImports]

        return source_hashes(brighter.Brighter())["brighter.Brighter"]

    yield hashed
    sources._hash.cache_clear()


def test_words_do_not_count_and_a_formula_does(brighter):
    first = brighter(MODULE)
    assert brighter(MODULE.replace("Words.", "Other words.").replace("# a comment", "# another")) == first
    assert brighter(MODULE.replace("x * self.by", "x + self.by")) != first


def test_all_classes_of_a_prompt_are_there():
    found = source_hashes(Ensemble([Compose([RedCircle(), Foveal()]), Foveal()]))
    assert set(found) == {"Ensemble", "Compose", "RedCircle", "Foveal"}
    assert changed_sources(found | {"Foveal": "other"}, found) == ["Foveal"] and not changed_sources({}, found)


def test_a_complete_run_of_other_code_says_so(job, caplog):
    caplog.set_level(logging.INFO)
    job().execute()
    file = job().folder.path / "run.json"
    info = json.loads(file.read_text())
    assert set(info["sources"]) >= {"Foveal", "ReferringExpressions", "ReferringShapes"}
    info["sources"]["Foveal"] = "0" * 16
    file.write_text(json.dumps(info))
    caplog.clear()
    job().execute()
    assert "the code of Foveal has changed" in caplog.text and "complete already" in caplog.text
    job("runtime.overwrite=always").execute()
    caplog.clear()
    job().execute()
    assert "has changed" not in caplog.text
