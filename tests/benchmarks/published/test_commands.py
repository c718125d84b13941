"""Every published figure that has a command, and the command."""

import shlex

import pytest
from small_jobs import composed

from benchmarks.published.__main__ import main
from benchmarks.published.commands import command_of, overrides_of
from benchmarks.published.figures import load_expectations
from benchmarks.settings.expansion import expanded

EXPECTATIONS = load_expectations()
DISTINCT = list({tuple(overrides_of(e)): e for e in EXPECTATIONS}.values())


def test_each_command_composes_to_the_labels_that_the_figure_is_held_against():
    jobs = [job for found in expanded(overrides_of(e) for e in DISTINCT) for job in found]
    assert len(jobs) == len(DISTINCT)
    for job, expectation in zip(jobs, DISTINCT, strict=True):
        for group in ("backbone", "prompt", "text"):
            assert getattr(expectation, group) in (getattr(job.labels, group), "*"), command_of(expectation)
        assert job.settings["task"]["name"] == expectation.task and job.settings["task"]["split"] == expectation.split
        assert job.settings["task"].get("proposals", "") == expectation.proposals


def test_the_list_names_all_and_counts_them(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    made = sum("python -m benchmarks" in line for line in lines)
    assert made == len(EXPECTATIONS) and lines[-1].endswith("published figures have a command")
    assert main(["--file", "falip_rec"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("12 of 14")
    assert main(["--file", "falip_rek"]) == 2
    assert "there are" in capsys.readouterr().err
    assert main(["--without"]) == 0
    assert "none yet" in capsys.readouterr().out


@pytest.mark.parametrize("expectation", DISTINCT[:3], ids=lambda e: e.prompt)
def test_a_command_is_what_a_shell_reads(expectation):
    words = shlex.split(command_of(expectation))
    assert words[:3] == ["python", "-m", "benchmarks"]
    assert composed(words[3:]).task.split == expectation.split
