"""Every page of a built book in a real browser: two widths, light and dark, without a network."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from reproducer.paths import cache_dir

# One worker makes what the tests of this folder share.
pytestmark = [pytest.mark.xdist_group("book")]

BROWSERS = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
BROWSER = next(filter(None, BROWSERS), None)
OFFLINE = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
AXE = "axe-core@4.10.3"
VIEWS = [(1280, "light"), (390, "dark")]
# What is wider than its place: the page itself, or an equation that is cut.
WIDER = """() => [
  document.documentElement.scrollWidth - innerWidth,
  ...[...document.querySelectorAll("mjx-container")].map(
    math => math.getBoundingClientRect().right - math.parentElement.getBoundingClientRect().right)
].filter(excess => excess > 1)"""


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
