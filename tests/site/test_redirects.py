from __future__ import annotations

import pytest

from checks.errors import DataError
from checks.site.redirects import pages

THERE = {"index.html", "systems/shop/report.html", "systems/shop/runbooks/morning.html"}


@pytest.mark.parametrize(
    ("before", "after", "address", "leads"),
    [
        ("systems/shop/old.md", "systems/shop/report.md", "systems/shop/old.html", "report.html"),
        ("old.html", "systems/shop/report.html", "old.html", "systems/shop/report.html"),
        (
            "systems/till/runbooks/dawn.md",
            "systems/shop/runbooks/morning.md",
            "systems/till/runbooks/dawn.html",
            "../../shop/runbooks/morning.html",
        ),
    ],
)
def test_a_moved_page_leads_to_where_it_is(before: str, after: str, address: str, leads: str) -> None:
    """Where a page was stands one that leads to where it is, by a relative link, without a script."""
    ((where, page),) = pages({before: after}, THERE).items()
    assert where == address
    assert f'<meta http-equiv="refresh" content="0; url={leads}">' in page
    assert f'<a href="{leads}">' in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        ({"old.md": "nowhere.md"}, "no page is there"),
        ({"index.md": "systems/shop/report.md"}, "is still there"),
        ({"../old.md": "index.md"}, "no page of this site"),
        ({"/etc/passwd.html": "index.md"}, "no page of this site"),
        ({"old": "index.md"}, "no page of this site"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_refused(moved: dict[object, object], said: str) -> None:
    """A redirect to where no page is, from where one still is, or from outside the site, is refused with an example."""
    with pytest.raises(DataError, match=said) as caught:
        pages(moved, THERE)
    assert caught.value.example


def test_what_is_written_there_cannot_act() -> None:
    """Markup in an address stays text."""
    page = pages({"old.md": 'a"><script>x</script>.html'}, {'a"><script>x</script>.html'})["old.html"]
    assert "<script" not in page
