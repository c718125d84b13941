"""What a reader does on the page, in a real browser: sort, choose lines, enlarge, keep the address, save what differs."""

import csv
import io

import pytest
from chromium import Page, executable

from benchmarks.report.charts import MOST_AT_ONCE, Point, line_plot, lines_of
from benchmarks.report.overview import ranked
from benchmarks.tables.render import Grid

browser = pytest.mark.skipif(executable() is None, reason="no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def tab(tmp_path_factory, page):
    opened = Page(tmp_path_factory.mktemp("profile"))
    opened.open(page)
    yield opened
    assert opened.errors == []
    opened.close()


def test_the_best_row_is_first_and_chance_stays_last():
    body = (("a", "9.0 ± 1.0", "50.0"), ("b", "61.5", "50.0"), ("c", "–", "70.0"), ("chance", "80.0", "25.0"))
    lines = ranked(Grid("Accuracy", ("Method", "x", "y"), body), 1)
    assert [line.cells[0] for line in lines] == ["b", "a", "c", "chance"]
    assert [line.best for line in lines] == [{1}, frozenset(), {2}, frozenset()]


def test_labels_lose_nothing_and_fit():
    text = "foveal,alpha=0.25,sigma=100,layers=4 with a_very_long_word_of_its_own"
    lines = lines_of(text, 90)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert len(lines) > 3 and max(map(len, lines)) <= 10


def test_of_many_methods_the_best_are_shown_first():
    series = {f"m{i}": [Point(i / 20), Point(i / 20)] for i in range(20)}
    shown = [one.name for one in line_plot("", "", "", ["a", "b"], series).series if one.shown]
    assert shown == [f"m{i}" for i in range(20 - MOST_AT_ONCE, 20)]


@browser
def test_a_click_on_a_heading_sorts(tab):
    names = "[...document.querySelector('table.sortable').tBodies[0].rows].map((row) => row.cells[0].textContent)"
    before = tab.run(names)
    tab.run("document.querySelector('table.sortable th button').click()")
    methods = [name for name in before if name not in ("chance", "oracle")]
    assert tab.run(names)[: len(methods)] == sorted(methods, reverse=True)
    assert sorted(tab.run(names)[len(methods) :]) == ["chance", "oracle"]


@browser
def test_a_line_is_hidden_and_shown_by_its_button(tab):
    tab.run("document.querySelector('.legend.choice button[data-series]').click()")
    assert tab.run("document.querySelector('figure g[data-series=\"0\"]').hasAttribute('hidden')")
    tab.run("document.querySelector('.legend.choice button[data-series]').click()")
    assert not tab.run("document.querySelector('figure g[data-series=\"0\"]').hasAttribute('hidden')")


@browser
def test_the_address_brings_back_what_was_seen(tab, page):
    tab.run("choose('group', 1); choose('method', 0); choose('filter', 'wrong'); go(1)")
    seen = "[location.hash, state.group, state.method, state.filter, state.shown[state.at].id]"
    before = tab.run(seen)
    tab.run("choose('group', 0)")
    assert tab.run(seen) != before
    tab.run(f"location.hash = {before[0]!r}; recall()")
    assert tab.run(seen) == before


@browser
def test_what_two_methods_differ_in_is_a_table_and_a_csv(tab):
    tab.run(
        "choose('group', 0); choose('filter', 'changed'); document.getElementById('differ').open = true; showDiffering()"
    )
    count = tab.run("state.shown.length")
    assert tab.run("document.querySelectorAll('#differing tbody tr').length") == count
    rows = list(csv.DictReader(io.StringIO(tab.run("csv()"))))
    assert len(rows) == count
    method, baseline = list(rows[0])[-2:] if rows else ("", "")
    assert all(row[method].split(":")[0] != row[baseline].split(":")[0] for row in rows)


@browser
def test_a_view_is_enlarged_and_bars_say_where_they_begin(tab):
    tab.run("choose('filter', 'all')")
    small = tab.run("document.querySelector('.card .view').getBoundingClientRect().width")
    tab.run("document.querySelector('.card .view').click()")
    assert tab.run("document.getElementById('large').open")
    assert tab.run("document.querySelector('#large .view').getBoundingClientRect().width") > small
    tab.run("document.getElementById('large').close()")
    assert tab.run("document.querySelector('.card .origin').textContent").startswith("bars begin at ")
