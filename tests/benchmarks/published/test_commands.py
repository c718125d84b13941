"""Every published figure that has a command, and the command."""

import shlex

import pytest
from small_jobs import composed

from benchmarks.published.__main__ import main
from benchmarks.published.commands import command_of, listed, overrides_of, totals
from benchmarks.published.figures import FOLDER, load_averages, load_expectations, load_figures, load_reasons
from benchmarks.published.fill_in import page
from benchmarks.settings.expansion import expanded

EXPECTATIONS = [*load_expectations(), *(member for average in load_averages() for member in average.members)]
DISTINCT = list({tuple(overrides_of(e)): e for e in EXPECTATIONS}.values())


@pytest.mark.slow
def test_each_command_composes_to_the_labels_that_the_figure_is_held_against():
    jobs = [job for found in expanded(overrides_of(e) for e in DISTINCT) for job in found]
    assert len(jobs) == len(DISTINCT)
    for job, expectation in zip(jobs, DISTINCT, strict=True):
        for group in ("backbone", "prompt", "text"):
            assert getattr(expectation, group) in (getattr(job.labels, group), "*"), command_of(expectation)
        task = job.settings["task"]
        assert task["name"] == expectation.task and task["split"] == expectation.split
        assert task.get("proposals", "") == expectation.proposals


def test_what_a_protocol_changes_of_the_task_is_in_its_command():
    filtered = [e for e in DISTINCT if "task.min_area=0.05" in e.rules]
    assert len(filtered) >= 24
    (job,) = next(expanded([overrides_of(filtered[0])]))
    assert job.settings["task"]["min_area"] == 0.05


def test_what_is_true_or_false_is_recorded_as_commands_spell_it():
    matched = next(e for e in DISTINCT if "task.sinkhorn=true" in e.rules)
    (job,) = next(expanded([overrides_of(matched)]))
    assert "task.sinkhorn=true" in job.overrides and job.settings["task"]["sinkhorn"] is True


def test_the_list_names_all_with_command_or_reason_and_counts_them(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("falip run task=" in line for line in lines) == len(EXPECTATIONS)
    assert lines[-1].endswith(" published figures have a command")
    assert all("\tfalip run " in line or "\tmean of: " in line or "\tnone: " in line for line in lines[1:-1])
    assert main(["--file", "falip_rec"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("14 of 14") and sum("mean of: " in line for line in said) == 3 * 8
    assert main(["--file", "falip_rek"]) == 2
    assert "there are" in capsys.readouterr().err


def test_those_without_a_command_are_listed_with_their_reason(capsys):
    assert main(["--without"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all("\tnone: " in line and not line.endswith("none: ") for line in lines[1:-1])
    assert any(line.startswith("CPT-Blk\tVinVL") for line in lines)
    made, of = (int(word) for word in lines[-1].split()[:3:2])
    assert of - made == len(lines) - 2


def test_at_least_640_figures_have_a_command():
    answers = listed(load_figures(), load_expectations(), load_averages(), load_reasons())
    papers = [answer for answer in answers if answer.figure.file not in ("fgclip_regions.csv", "red_circle_keypoints.csv")]
    assert len(papers) == 766
    assert sum(bool(answer.ways) for answer in papers) >= 640, totals(papers)


def test_what_a_reader_of_the_paper_can_add_says_table_row_and_column(capsys, tmp_path):
    assert main(["--fill-in"]) == 0
    said = capsys.readouterr().out
    assert "## Main REC table" in said and "### Row FALIP, ViT-B/16" in said and "- column RefCOCO+ testB" in said
    assert ": FALIP,ViT-B/16,RefCOCO,testA,gold proposals; without" not in said, "what a source quotes is not asked for"
    lines: dict[str, list[str]] = {}
    for line in said.splitlines():
        if line.startswith("      "):
            name, _, row = line.strip().partition(": ")
            lines.setdefault(name, []).append(row.replace("VALUE", "50.0"))
    for path in (FOLDER / name for name in lines):  # as the page says: each line into its file
        (tmp_path / path.name).write_text("\n".join([path.read_text().partition("\n")[0], *lines[path.name]]) + "\n")
    added = load_expectations(tmp_path)
    assert len(added) == len(lines["cells.csv"]) and {e.prompt for e in added} >= {
        "foveal",
        "red_circle",
        "foveal_red_circle",
    }
    assert page(load_figures(tmp_path)).count("- column") < said.count("- column") / 2
    jobs = [job for found in expanded(overrides_of(e) for e in added[::9]) for job in found]
    assert all(job.settings["task"]["name"].startswith("rec/ref") for job in jobs)


@pytest.mark.parametrize("expectation", DISTINCT[:3], ids=lambda e: e.prompt)
def test_a_command_is_what_a_shell_reads(expectation):
    words = shlex.split(command_of(expectation))
    assert words[:2] == ["falip", "run"]
    assert composed(words[2:]).task.split == expectation.split
