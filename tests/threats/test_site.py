"""Readers of the site: what was observed cannot act, and a publisher that dies is not noticed."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from tests.run.project import SYSTEM
from tests.threats.shop import FINE, PROOFBOOK, Shop, open_shop

pytestmark = pytest.mark.slow

EVIL = (
    "<script>pwn()</script><img src=x onerror=pwn()><svg onload=pwn()>{{ pwn() }}{% include 'x' %}[x](javascript:pwn())"
    "--8<-- 'mkdocs.yml'|</td>```\x1b]8;;http://evil.example\x07x\x1b]8;;\x07\u202e</pre></div>"
)
SAYS = f"""\
## Look at {{{{ pwn() }}}} | it

```python
from checks import check
print({EVIL!r})
print(note)
check("error-rate", 0.4)
check("said")
```

```python
from IPython.display import HTML, SVG, Markdown, display
display(HTML({EVIL!r}), Markdown({EVIL!r}))
display({{"text/html": {EVIL!r}, "image/svg+xml": {EVIL!r}, "application/javascript": "pwn()"}}, raw=True)
raise ValueError({EVIL!r})
```
"""


class _Active(HTMLParser):
    """Finds what would act on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        for name, value in attrs:
            if name.startswith("on") or (value or "").lower().lstrip().startswith(("javascript:", "data:text")):
                self.found.append(f"{tag} {name}={value}")
            if name in ("href", "src") and "evil.example" in (value or ""):
                self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self._script and "pwn" in data:
            self.found.append(f"script {data}")

    def handle_endtag(self, _tag: str) -> None:
        self._script = False


@dataclass(slots=True)
class Served:
    """A published shop, served by the installed command."""

    shop: Shop
    address: str

    def pages(self) -> list[str]:
        """The addresses of all of its pages."""
        site = (self.shop.root / "public" / "current").resolve()
        return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A shop that measured and said hostile things, published and served on a free port."""
    shop = open_shop(tmp_path_factory.mktemp("site") / "site")
    (shop.root / "shop" / "said.json").write_text(f'{{"a": "{"<img src=x onerror=pwn()>{{ pwn() }}"}"}}')
    shop.project.describe(
        SYSTEM.replace("title: Error rate", "title: 'Rate <script>pwn()</script> {{ pwn() }} | x'")
        + '  said:\n    title: "<img src=x onerror=pwn()>"\n    critical: "> 1"\n'
        + '    probe: {kind: command, argv: [cat, "{folder}/said.json"], take: json, select: a}\n'
    )
    shop.project.write(SAYS, "says", "parameters:\n  note: {type: string, default: x}\n")
    ran = shop.call("run", "shop/says", "-p", f"note={EVIL}")
    assert ran.code == 3, ran.said
    assert "\x1b" not in ran.said
    published = shop.call("publish", "--no-run")
    assert published.code == 0, published.err
    command = [str(PROOFBOOK), "serve", "--port", "0", "--root", str(shop.root)]
    with subprocess.Popen(command, env=shop.surroundings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield Served(shop, server.stdout.readline().strip())
        server.terminate()


def test_44_what_was_observed_cannot_act(served: Served) -> None:
    """Scripts, handlers, templates, links and escapes in titles, outputs, errors and parameters are letters on every page."""
    text = ""
    for page in served.pages():
        content = (served.shop.root / "public" / "current" / page).read_text(encoding="utf-8")
        active = _Active()
        active.feed(content)
        assert active.found == [], page
        assert not re.search("[\x1b\x07\u202e]", content), page
        text += content
    assert "&lt;script&gt;pwn()" in text or "&lt;script>pwn()" in text


def test_45_pages_run_only_their_own_scripts(served: Served) -> None:
    """On every page the policy allows scripts by their digest alone, and each inline script of the page has its digest there."""
    with httpx.Client(base_url=served.address, trust_env=False) as reader:
        for page in served.pages():
            answer = reader.get(f"/{page}")
            policy = dict(rule.strip().partition(" ")[::2] for rule in answer.headers["Content-Security-Policy"].split(";"))
            assert "unsafe" not in answer.headers["Content-Security-Policy"], page
            assert not re.search(r"<style|<[a-z]+[^>]*\sstyle=", answer.text), page
            assert policy["default-src"] == "'self'"
            for script in re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", answer.text, re.DOTALL):
                digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
                assert f"'sha256-{digest}'" in policy["script-src"], page


def _kill_when(shop: Shop, seen: Callable[[Path], bool]) -> None:
    """Start publishing, and kill -9 the publisher as soon as something is seen among the publications."""
    home = shop.root / "public" / "publications"
    with shop.start("publish", "--no-run") as process:
        ends = time.monotonic() + 60
        while process.poll() is None and not seen(home):
            assert time.monotonic() < ends
            time.sleep(0.002)
        process.kill()
        process.communicate()


def test_46_readers_never_notice_a_publisher_that_dies(served: Served) -> None:
    """Killed while building and around the swap, a publisher leaves one whole publication; readers get every page all along."""
    shop, seen, wrong = served.shop, [], []
    ended = threading.Event()

    def read() -> None:
        with httpx.Client(base_url=served.address, trust_env=False, timeout=30) as reader:
            while not ended.is_set():
                answer = reader.get("/index.html")
                numbers = set(re.findall(r"Publication (\d+)", answer.text))
                if answer.status_code != 200 or len(numbers) != 1 or not answer.text.rstrip().endswith("</html>"):
                    wrong.append((answer.status_code, numbers))
                else:
                    seen.append(int(numbers.pop()))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        _kill_when(shop, lambda home: any(home.glob(".building-*/index.html")))
        assert shop.published()["runs"]
        assert (shop.root / "public" / "current").readlink() == Path("publications/0001")
        # The number that the first one had claimed is not given again.
        _kill_when(shop, lambda home: any(home.glob("000[2-9]/index.html")))
        assert shop.page("index.html").rstrip().endswith("</html>")
        assert shop.call("publish", "--no-run").code == 0
    finally:
        ended.set()
        thread.join()
    assert wrong == []
    assert seen == sorted(seen)
    assert len(seen) > 100
    home = shop.root / "public"
    assert not [*home.glob("publications/.building-*"), *home.glob(".current-*")]


def test_47_of_two_publishers_one_is_told_to_wait(served: Served) -> None:
    """Two that publish at once never mix: each is published whole or told that it is not its turn."""
    started = [served.shop.start("publish", "--no-run") for _ in range(2)]
    said = [process.communicate(timeout=100)[1] for process in started]
    codes = sorted(process.returncode for process in started)
    assert codes in ([0, 75], [0, 0]), said
    assert served.shop.page("index.html").rstrip().endswith("</html>")


def test_48_a_macro_that_fails_leaves_the_site(tmp_path: Path) -> None:
    """A page that names an unknown metric is refused with page and line, and readers keep the publication that they have."""
    shop = open_shop(tmp_path / "site")
    shop.project.write(FINE)
    assert shop.call("publish", "--no-run").code == 0
    before = shop.page("index.html")
    index = shop.root / "docs" / "index.md"
    index.write_text(index.read_text() + '\n{{ value("shop/no-such") }}\n')
    ended = shop.call("publish", "--no-run")
    assert ended.code == 65
    assert re.search(r"docs/index\.md:\d+: .*no-such", ended.err)
    assert shop.page("index.html") == before
