"""A read-out that makes the scores itself, in runs beside others."""

import pytest
from small_jobs import Job, composed, execute

from benchmarks.settings.sweep import Labels
from falip import UserError

PROMPTS = ("gradcam", "crop", "plain")


def job(clip_folder, results, prompt, *more):
    given = [
        f"prompt={prompt}",
        "task.dataset.scenes=4",
        f"backbone.name={clip_folder('small')}",
        f"results_root={results}",
    ]
    return Job(composed([*given, "runtime.progress=false", *more]), Labels("small", prompt, "default"))


def test_runs_beside_each_other_have_the_scores_of_each_alone(clip_folder, tmp_path):
    together = [job(clip_folder, tmp_path / "together", prompt) for prompt in PROMPTS]
    execute(together)
    for one, prompt in zip(together, PROMPTS, strict=True):
        alone = job(clip_folder, tmp_path / "alone", prompt)
        alone.execute()
        ours, theirs = one.folder.frame(), alone.folder.frame()
        assert [list(row) for row in ours["scores"]] == [list(row) for row in theirs["scores"]], prompt
    scores = together[0].folder.frame()["scores"]
    assert any(len(set(row)) > 1 for row in scores), "the map tells regions of one picture apart"


def test_released_precision_is_refused(clip_folder, tmp_path):
    with pytest.raises(UserError, match=r"GradCAM has no released precision"):
        job(clip_folder, tmp_path, "gradcam", "backbone.precision=released").execute()
