"""The page in a real browser; skipped where there is no Chromium (Debian: apt-get install chromium)."""

import pytest
from chromium import Page, executable
from scenes import EVIL

from benchmarks.report.__main__ import main

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    opened = Page(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def smoke_tab(tab, page):
    tab.errors.clear()
    tab.requests.clear()
    tab.resize(1280, 900)
    tab.open(page)
    yield tab
    assert tab.errors == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [page.resolve().as_uri()]


def count(tab) -> tuple[int, int]:
    shown, _, total, _ = tab.run("document.getElementById('count').textContent").split()
    return int(shown), int(total)


def heading(tab) -> str:
    return tab.run("document.querySelector('#detail .where').textContent")


def current(tab) -> int:
    return tab.run("[...document.querySelectorAll('#list li')].findIndex((line) => line.hasAttribute('aria-current'))")


def test_keys_step_through_the_queries(smoke_tab):
    smoke_tab.run("document.getElementById('gallery').scrollIntoView()")
    first = heading(smoke_tab)
    smoke_tab.press("j")
    assert (current(smoke_tab), heading(smoke_tab) != first) == (1, True)
    smoke_tab.press("ArrowDown")
    assert current(smoke_tab) == 2
    smoke_tab.press("k")
    smoke_tab.press("ArrowUp")
    smoke_tab.press("k")
    assert (current(smoke_tab), heading(smoke_tab)) == (0, first)


def test_f_goes_through_the_filters(smoke_tab):
    found = {"all": count(smoke_tab)[0]}
    for _ in range(5):
        smoke_tab.press("f")
        found[smoke_tab.run("document.getElementById('filter').value")] = count(smoke_tab)[0]
        # Every line that is left has the sign that its filter asks for.
        signs = set(smoke_tab.run("[...document.querySelectorAll('#list li span:first-child')].map((s) => s.textContent)"))
        name = smoke_tab.run("state.filter")
        assert signs <= {"right": {"✓"}, "won": {"✓"}, "wrong": {"✗"}, "lost": {"✗"}}.get(name, {"✓", "✗"})
    assert found["right"] + found["wrong"] == found["all"] == count(smoke_tab)[1]
    assert found["won"] + found["lost"] == found["changed"]
    smoke_tab.press("f")
    assert smoke_tab.run("state.filter") == "all"


def test_search_narrows_the_list(smoke_tab):
    smoke_tab.press("/")
    assert smoke_tab.run("document.activeElement.id") == "search"
    identity = smoke_tab.run("data.queries[0].id")
    smoke_tab.call("Input.insertText", text=identity)
    assert count(smoke_tab)[0] == 1
    smoke_tab.call("Input.insertText", text=" nothing like this")
    assert count(smoke_tab)[0] == 0
    assert "Nothing matches" in smoke_tab.run("document.getElementById('detail').textContent")
    smoke_tab.press("Escape")
    assert smoke_tab.run("document.activeElement.id") != "search"


def test_the_help_opens_and_closes(smoke_tab):
    for open_now in (True, False):
        smoke_tab.press("?")
        assert smoke_tab.run("document.getElementById('help').open") is open_now


def test_m_changes_the_method_and_o_hides_the_masks(smoke_tab):
    before = smoke_tab.run("state.method")
    assert smoke_tab.run("document.querySelectorAll('img.heat').length") > 0
    smoke_tab.press("m")
    assert smoke_tab.run("state.method") != before
    smoke_tab.press("o")
    assert smoke_tab.run("document.querySelectorAll('img.heat').length") == 0


def test_every_picture_of_every_group_is_whole(smoke_tab):
    for group in range(smoke_tab.run("data.groups.length")):
        smoke_tab.run(f"choose('group', {group})")
        waiting = "Promise.all([...document.images].map((image) => image.decode().then(() => image.naturalWidth)))"
        result = smoke_tab.call("Runtime.evaluate", expression=waiting, awaitPromise=True, returnByValue=True)
        widths = result["result"]["value"]
        assert len(widths) >= 3
        assert all(widths)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_needs_no_sideways_scrolling(smoke_tab, scheme):
    for width in (400, 1280):
        smoke_tab.resize(width, 900, scheme)
        assert smoke_tab.run("document.documentElement.scrollWidth") <= width
    paper = smoke_tab.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is (scheme == "light")


@pytest.mark.parametrize("width", [400, 500, 800, 1400])
def test_letters_of_charts_stay_legible_and_whole(smoke_tab, width):
    smoke_tab.resize(width, 900)
    # Drawing units shrink with the drawing: what a letter's size is on the screen.
    sizes, cut = smoke_tab.run("""(() => {
      const texts = [...document.querySelectorAll("figure > svg text")], box = (one) => one.getBoundingClientRect();
      const size = (text) => parseFloat(getComputedStyle(text).fontSize) * box(text.ownerSVGElement).width / 640;
      const cut = (inner, outer) => inner.left < outer.left - 1 || inner.right > outer.right + 1
        || inner.bottom > outer.bottom + 3;
      return [texts.map(size), texts.filter((text) => cut(box(text), box(text.ownerSVGElement))).map((t) => t.textContent)];
    })()""")
    assert min(sizes) >= 10.5
    assert cut == []


def test_rows_of_the_same_data_say_so_once(smoke_tab):
    shown = "[...document.querySelectorAll('table.one .data')].filter((cell) => cell.offsetParent).length"
    said = "[...document.querySelectorAll('.note')].filter((note) => note.textContent.startsWith('All rows: ')).length"
    assert smoke_tab.run(shown) == 0
    assert smoke_tab.run(said) == smoke_tab.run("document.querySelectorAll('table.one').length") > 0


def test_markup_in_an_expression_runs_nothing(tab, write_scenes, tmp_path):
    runs = write_scenes("aaaa00000000", "foveal", text=EVIL, labels={"text": EVIL}, device=EVIL)
    main([str(runs), "--out", str(tmp_path / "page.html")])
    tab.errors.clear()
    tab.open(tmp_path / "page.html")
    assert tab.run("typeof hacked") == "undefined"
    assert tab.run("document.querySelector('#detail h3').textContent") == f"“{EVIL}”"
    assert tab.errors == []
