"""What is mended in built pages."""

from reproducer.app.mend import mend, with_plain_letters


def test_words_are_found_without_accents():
    index = {"terms": {"bézier": 3, "naïve": [1, 2], "naive": 5, "рот": 1}, "titles": ["x"]}
    words = with_plain_letters(index)["terms"]
    assert words == index["terms"] | {"bezier": [3], "naive": [1, 2, 5]}


def test_roles_and_names_are_mended_in_place(tmp_path):
    (tmp_path / "a.html").write_text(
        '<div role="list" class="citation-list"><a></a></div>'
        '<button class="btn search-button-field x" aria-label="Search">Search for</button>'
    )
    (tmp_path / "searchindex.js").write_text('Search.setIndex({"terms": {"é": 1}})')
    mend(tmp_path)
    html = (tmp_path / "a.html").read_text()
    assert '<div class="citation-list">' in html and "aria-label" not in html
    assert (tmp_path / "searchindex.js").read_text() == (
        'Search.setIndex({"terms": {"\\u00e9": 1, "e": [1]}, "titleterms": {}})'
    )
