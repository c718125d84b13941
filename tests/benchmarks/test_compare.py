"""Two runs, pair by pair."""

from fake_runs import rec_records, write_run

from benchmarks.compare import main


def test_two_runs_are_compared_pair_by_pair(tmp_path, capsys):
    runs = [write_run(tmp_path, name, rec_records(seed=seed)) for name, seed in (("aaa", 0), ("bbb", 1))]
    assert main([str(run) for run in runs]) == 0
    said = capsys.readouterr().out
    assert "difference in points: " in said and "McNemar" in said and said.count("(aaa)") == said.count("(bbb)") == 1
    assert main([str(runs[0]), str(runs[0])]) == 0
    assert "difference in points: +0.0" in capsys.readouterr().out


def test_what_is_no_run_is_one_message(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path)]) == 2
    assert "run.json" in capsys.readouterr().err
