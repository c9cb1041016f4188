from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from checks.site.publish import Published
from checks.site.server import content_security_policy, server


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two publications, the first of them current."""
    for number in ("0001", "0002"):
        folder = tmp_path / "publications" / number
        (folder / "deep").mkdir(parents=True)
        (folder / "index.html").write_text(f"<p>publication {number}</p><script>go()</script>")
        (folder / "deep" / "index.html").write_text("deep")
        (folder / "404.html").write_text("no such page")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "publications" / "0001" / "out").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "current").symlink_to("publications/0001")
    return tmp_path


@pytest.fixture
def client(site: Path) -> Iterator[httpx.Client]:
    """A reader of the served site."""
    serving = server(site / "current")
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{serving.server_address[1]}", trust_env=False) as reader:
        yield reader
    serving.shutdown()
    serving.server_close()


def test_a_swap_shows_at_the_next_request(site: Path, client: httpx.Client) -> None:
    """The server follows the link anew for each request, over the same connection."""
    assert "publication 0001" in client.get("/").text
    fresh = site / ".fresh"
    fresh.symlink_to("publications/0002")
    fresh.replace(site / "current")
    assert "publication 0002" in client.get("/index.html").text


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/%2e%2e/secret.txt", "/out", "//etc/passwd", "/a%00b", "/nothing.html"]
)
def test_nothing_outside_is_served(client: httpx.Client, path: str) -> None:
    """Paths and links that lead out of the publication are not found, like pages that are not there."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.text == "no such page"


def test_pages_may_only_do_what_is_theirs(client: httpx.Client) -> None:
    """A page is served with a policy that allows its own inline scripts by their hash and nothing from elsewhere."""
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "'sha256-" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


def test_another_script_is_another_hash() -> None:
    """A script that was put into a page after publishing is not the one that the policy names."""
    assert content_security_policy("<script>a</script>") != content_security_policy("<script>b</script>")
    assert "sha256" not in content_security_policy('<script src="a.js"></script>')


def test_heads_and_folders(client: httpx.Client) -> None:
    """HEAD says what GET would, without a body; a folder is its index."""
    assert client.get("/deep/").text == "deep"
    answer = client.head("/")
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0


def test_it_listens_on_loopback_only(site: Path) -> None:
    """Unless told otherwise, nobody else on the network can read the site."""
    serving = server(site / "current")
    assert serving.server_address[0] == "127.0.0.1"
    serving.server_close()


def test_what_is_known_is_not_sent_again(site: Path, client: httpx.Client) -> None:
    """Who has a file is told that it is as it was; one that is linked from a publication to the next stays known."""
    first = client.get("/deep/index.html")
    assert first.headers["Proofbook-Publication"] == "1"
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get("/deep/index.html", headers=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    linked = site / "publications" / "0002" / "deep" / "index.html"
    linked.unlink()
    linked.hardlink_to(site / "publications" / "0001" / "deep" / "index.html")
    (site / "current").unlink()
    (site / "current").symlink_to("publications/0002")
    after = client.get("/deep/index.html", headers=known)
    assert (after.status_code, after.headers["Proofbook-Publication"]) == (304, "2")
    assert client.get("/index.html", headers=known).status_code == 200


def test_a_reader_does_not_wait_for_acknowledgements(client: httpx.Client) -> None:
    """Fifty small answers over one connection take no fifty times forty milliseconds."""
    started = time.perf_counter()
    for _ in range(50):
        assert client.get("/deep/index.html").status_code == 200
    assert time.perf_counter() - started < 50 * 0.04 / 2


def test_the_policy_that_the_readme_shows_lets_every_page_run(published: Published) -> None:
    """Each script of the theme that any page holds has its digest in the README's lines for nginx."""
    shown = (Path(__file__).parents[2] / "README.md").read_text()
    data = re.compile(r"<script[^>]* type=\"?application/json.*?</script>", re.DOTALL)  # it is read, and never run
    pages = [data.sub("", page.read_text()) for page in published.folder.rglob("*.html") if "evidence" not in page.parts]
    digests = {digest for page in pages for digest in re.findall(r"'sha256-[^']+'", content_security_policy(page))}
    assert digests
    assert {digest for digest in digests if digest not in shown} == set()
    assert content_security_policy("").split("; style-src")[1] in shown
