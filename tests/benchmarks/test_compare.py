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


def test_runs_are_found_by_their_ids_and_what_differs_is_written(tmp_path, monkeypatch, capsys):
    for name, seed in (("aaa", 0), ("bbb", 1)):
        write_run(tmp_path / "results" / "runs" / "rec", name, rec_records(seed=seed))
    monkeypatch.chdir(tmp_path)
    assert main(["aaa", "bbb", "--differing", "differing.csv"]) == 0
    printed = capsys.readouterr()
    lines = len((tmp_path / "differing.csv").read_text().splitlines()) - 1
    assert "(aaa)" in printed.out and f"wrote differing.csv: {lines} queries" in printed.err
    assert main(["aaa", "ccc"]) == 2
    assert "no run of that id under results/runs" in capsys.readouterr().err


def test_what_is_no_run_is_one_message(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path)]) == 2
    assert "run.json" in capsys.readouterr().err
