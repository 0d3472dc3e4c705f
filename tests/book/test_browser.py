"""Every page of a built book in a real browser: wide and narrow, light and dark, and in print."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from reproducer.experiments import EXPERIMENTS
from reproducer.paths import cache_dir
from tests.book.conftest import PAGES

# One worker makes what the tests of this folder share.
pytestmark = [pytest.mark.xdist_group("book")]

BROWSERS = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
BROWSER = next(filter(None, BROWSERS), None)
OFFLINE = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
AXE = "axe-core@4.10.3"
VIEWS = list(product((1280, 390), ("light", "dark")))
PAPER = {"width": 720, "height": 1000}  # what A4 leaves between margins of a centimetre
# What is wider than its place: the page itself, or an equation that is cut.
WIDER = """() => [
  document.documentElement.scrollWidth - innerWidth,
  ...[...document.querySelectorAll("mjx-container")].map(
    math => math.getBoundingClientRect().right - math.parentElement.getBoundingClientRect().right)
].filter(excess => excess > 1)"""


# On paper nothing scrolls: what is wider than its place, or lies beyond the edge, is cut. What is
# for screen readers alone takes no place, and a formula has such a part inside.
CUT = """() => [...document.querySelectorAll("article *")].filter(part => {
  if (part.closest(".visually-hidden, mjx-assistive-mml, .sd-hide-link-text")) return false;
  const box = part.getBoundingClientRect();
  const scrolls = getComputedStyle(part).overflowX !== "visible";
  const wider = scrolls && part.scrollWidth > part.clientWidth + 1;
  return box.width && box.height && (wider || box.right > innerWidth + 1);
}).map(part => part.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=OFFLINE)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, from the cache or from npm."""
    kept = cache_dir() / f"{AXE}.min.js"
    if not kept.exists():
        if shutil.which("npm") is None:
            pytest.skip("no npm to fetch axe-core with")
        kept.parent.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", AXE]
        done = subprocess.run(command, cwd=kept.parent, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm cannot fetch axe-core: {done.stderr.strip()[-200:]}")
        packed = kept.parent / done.stdout.split()[-1]
        with tarfile.open(packed) as archive:
            kept.write_bytes(archive.extractfile("package/axe.min.js").read())
        packed.unlink()
    return kept.read_text(encoding="utf-8")


@pytest.fixture(params=VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page whose errors and outside requests are gathered in `page.faults`."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 1000}, color_scheme=scheme, reduced_motion="reduce"
    )
    opened = context.new_page()
    opened.faults = []
    opened.on("console", lambda said: said.type == "error" and opened.faults.append(said.text))
    opened.on("pageerror", lambda error: opened.faults.append(str(error)))
    opened.on("request", lambda asked: _is_outside(asked.url) and opened.faults.append(asked.url))
    yield opened
    context.close()


def _is_outside(address: str) -> bool:
    return not address.startswith(("file:", "data:", "blob:"))


def _pages(html: Path) -> list[Path]:
    """All pages but the first, which only leads to the landing page, and the search."""
    found = [path for path in html.rglob("*.html") if "_static" not in path.parts]
    skipped = {html / "index.html", html / "search.html", html / "genindex.html"}
    return sorted(set(found) - skipped)


def _open(page: Page, path: Path) -> None:
    page.goto(path.as_uri())
    page.evaluate("() => window.MathJax?.startup?.promise")


def test_pages_are_whole_and_need_nothing_from_elsewhere(html: Path, page: Page):
    for path in _pages(html):
        _open(page, path)
        assert not page.faults, path.name
        assert page.evaluate(WIDER) == [], path.name
        empty = "th => !th.innerText.trim()"
        assert not page.eval_on_selector_all("th", f"all => all.some({empty})"), path.name
        assert page.locator("mjx-merror").count() == 0, path.name


def test_pages_are_accessible(html: Path, page: Page, axe: str):
    faults = []
    for path in _pages(html):
        _open(page, path)
        page.evaluate(axe)
        found = page.evaluate("axe.run({preload: false, resultTypes: ['violations']})")
        faults += [
            f"{path.name}: {fault['id']}: {fault['nodes'][0]['html'][:200]}"
            for fault in found["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
    assert not faults


def test_the_slider_moves_what_the_page_says(html: Path, page: Page):
    _open(page, html / "executed" / "connectivity.html")
    slider, told = page.get_by_label("Position t on the path"), page.locator(".walk [role=status]")
    mark = page.locator(".walk circle").first
    before, at = told.inner_text(), mark.get_attribute("cx")
    assert "t = 0" in before
    slider.focus()
    page.keyboard.press("End")
    assert "t = 1" in told.inner_text() and mark.get_attribute("cx") != at
    page.keyboard.press("ArrowLeft")
    assert "t = 1" not in told.inner_text()
    assert slider.get_attribute("aria-valuetext") in told.inner_text()
    line = page.locator(".walk polyline").first
    drawn = line.get_attribute("points")
    for option in page.get_by_label("Solutions of").locator("option").all_inner_texts()[1:]:
        page.get_by_label("Solutions of").select_option(option)
        assert line.get_attribute("points").count(",") == drawn.count(",")
    assert not page.faults


def test_without_javascript_the_figure_stands_alone(html: Path, browser: Browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((html / "executed" / "connectivity.html").as_uri())
    assert page.locator(".walk").is_hidden()
    assert page.locator(".walk + noscript").is_visible()
    assert page.locator("img[alt*='Bézier']").is_visible()
    context.close()


def test_every_picture_of_the_gallery_leads_to_its_page(html: Path, page: Page):
    _open(page, html / "gallery.html")
    cards = page.locator(".gallery .sd-card")
    shown = {*PAGES} & {*EXPERIMENTS}
    assert cards.count() == len(shown)
    for name in shown:
        card = cards.filter(has=page.locator(f"a[href$='executed/{name}.html']"))
        assert card.locator("img").get_attribute("alt")
        assert "?" in card.inner_text()
    assert all(
        page.eval_on_selector_all(".gallery img", "all => all.map(i => i.naturalWidth > 0)")
    )


def test_pages_are_whole_on_paper(html: Path, browser: Browser):
    page = browser.new_page(viewport=PAPER)
    page.emulate_media(media="print")
    for path in _pages(html):
        _open(page, path)
        assert page.evaluate(CUT) == [], path.name
        assert page.evaluate(WIDER) == [], path.name
        assert page.locator(".bd-sidebar-primary").is_hidden(), path.name
        assert page.locator(".bd-header-article").is_hidden(), path.name
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


@pytest.mark.parametrize("word", ["Bézier", "Bezier"])
def test_search_finds_words_without_their_accents(html: Path, browser: Browser, word: str):
    page = browser.new_page()
    page.goto(f"{(html / 'search.html').as_uri()}?q={word}")
    page.locator("#search-results a").first.wait_for(timeout=20000)
    found = page.eval_on_selector_all("#search-results a", "all => all.map(a => a.href)")
    assert any("connectivity" in address for address in found)
    page.close()


def test_the_wide_table_shows_its_first_column_when_scrolled(html: Path, browser: Browser):
    page = browser.new_page(viewport={"width": 390, "height": 1000})
    _open(page, html / "executed" / "arrangements.html")
    table = page.locator(".wide").first
    left = "wide => wide.querySelector('tbody th').getBoundingClientRect().left"
    before = table.evaluate(left)
    table.evaluate("wide => { wide.scrollLeft = 1000 }")
    assert table.evaluate("wide => wide.scrollLeft") > 0
    assert table.evaluate(left) == before
    page.close()
