from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.listening import unused_port
from tests.shared import built_project
from tests.site.project import small_project

pytestmark = pytest.mark.slow

PROOFBOOK = Path(sys.executable).with_name("proofbook")
SURROUNDINGS = {key: value for key, value in os.environ.items() if not key.startswith(("PROOFBOOK_", "SHOP_"))}


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The small project, whose shop nobody can reach."""
    return small_project(tmp_path / "project")


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after MkDocs has built its pages once."""
    return built_project(tmp_path / "project", tmp_path_factory).root


def proofbook(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROOFBOOK, *arguments, "--root", root], capture_output=True, text=True, env=SURROUNDINGS, timeout=110, check=False
    )


@pytest.fixture
def serving(project: Path) -> Iterator[subprocess.Popen[str]]:
    """`publish --no-run --serve` on a free port."""
    command = [str(PROOFBOOK), "publish", "--no-run", "--serve", "--port", "0", "--root", str(project)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=SURROUNDINGS) as process:
        yield process
        process.kill()


def test_publishing_runs_first_and_shows_what_is_not_known(new: Path) -> None:
    """All runbooks are run, what could not be measured is published as unknown, and publishing has succeeded."""
    done = proofbook("publish", root=new)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^unknown +Corner shop +1 / 3 ", done.stdout, re.MULTILINE), done.stdout
    assert done.stdout.splitlines()[-1] == str(new / "public/current/index.html")
    page = (new / "public/current/systems/shop/index.html").read_text()
    assert "SHOP_URL is not set" in page
    assert "running 2 runbooks in staging" in done.stderr
    again = proofbook("publish", "--fresh-enough", root=new)
    assert again.returncode == 0, again.stderr
    assert "running 2 runbooks in staging, 0 are fresh enough" in again.stderr  # what is unknown is measured again


def test_no_run_shows_what_the_journal_holds(project: Path) -> None:
    """With --no-run nothing is executed; what was never measured is unknown."""
    done = proofbook("publish", "--no-run", "--to", str(project / "elsewhere"), root=project)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^unknown +Corner shop +0 / 3 +never ", done.stdout, re.MULTILINE), done.stdout
    assert (project / "elsewhere/current/index.html").is_file()
    assert not (project / "public").exists()


def test_a_broken_catalogue_is_refused_before_anything_runs(new: Path) -> None:
    """Broken YAML exits 65 with file, line and column, and nothing is run or published."""
    broken = new / "docs/systems/shop/system.yml"
    broken.write_text(broken.read_text().replace('unit: "%"', 'unit: "%'))
    done = proofbook("publish", root=new)
    assert done.returncode == 65
    assert re.search(r"docs/systems/shop/system\.yml:\d+:\d+", done.stderr)
    assert not (new / "public").exists()
    assert not (new / ".proofbook").exists()


def test_an_environment_where_nothing_lives_is_refused(new: Path) -> None:
    """A slip of the pen publishes no site on which nothing needs anyone."""
    done = proofbook("publish", "--no-run", "--environment", "sandbxo", root=new)
    assert done.returncode == 64
    assert "sandbxo: no system lives in this environment" in done.stderr
    assert not (new / "public").exists()


def test_the_address_it_prints_is_served(serving: subprocess.Popen[str]) -> None:
    """--serve ends by an address at which the publication is read, and stops when it is asked to end."""
    assert serving.stdout is not None
    address = next(line.strip() for line in serving.stdout if line.startswith("http://"))
    assert address.startswith("http://127.0.0.1:")
    assert "Nothing has been measured yet" in httpx.get(address, trust_env=False).text
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(timeout=10) == 0


def test_a_port_that_is_taken_is_named(project: Path) -> None:
    """A port that was asked for and is taken is refused as busy, with what to do instead."""
    assert proofbook("publish", "--no-run", root=project).returncode == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = proofbook("serve", "--port", str(taken.getsockname()[1]), root=project)
    assert done.returncode == 75
    assert "--port" in done.stderr


def test_nothing_published_is_nothing_to_serve(project: Path) -> None:
    """Serving before publishing says what to do first."""
    done = proofbook("serve", root=project)
    assert done.returncode == 69
    assert "proofbook publish" in done.stderr


def test_mkdocs_serve_shows_what_is_known(project: Path) -> None:
    """An author who previews the pages by ``mkdocs serve`` sees what the journal says, and no empty elements."""
    port = unused_port()
    command = [sys.executable, "-m", "mkdocs", "serve", "--dev-addr", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        command, cwd=project, env=SURROUNDINGS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            page = _once_up(f"http://127.0.0.1:{port}/index.html")
        finally:
            process.kill()
    assert "Nothing has been measured yet" in page
    assert "Preview of" in page
    assert not re.search(r'data-live="[^"]*"></', page)


def _once_up(url: str) -> str:
    for _ in range(150):
        try:
            answer = httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if answer.status_code == 200:
            return answer.text
        time.sleep(0.2)
    raise AssertionError(f"nothing answered at {url}")


def test_a_page_that_moved_is_found_and_a_publication_is_taken_back(project: Path) -> None:
    """A page that is gone is told; named under redirects, its address leads on. --rollback shows the publication before again."""
    faq = project / "docs/systems/shop/faq.md"
    faq.write_text('# Questions\n\n{{ status("shop") }}\n')
    index = project / "public/current/index.html"
    assert proofbook("publish", "--no-run", root=project).returncode == 0
    faq.rename(faq.with_name("answers.md"))
    moved = proofbook("publish", "--no-run", root=project)
    assert moved.returncode == 0, moved.stderr
    assert "systems/shop/faq.html is gone" in moved.stderr
    mkdocs = project / "mkdocs.yml"
    redirects = 'redirects: {"systems/shop/faq.md": systems/shop/answers.md}'
    mkdocs.write_text(mkdocs.read_text().replace("timezone: UTC}", f"timezone: UTC, {redirects}}}"))
    led = proofbook("publish", "--no-run", root=project)
    assert led.returncode == 0, led.stderr
    left = (index.parent / "systems/shop/faq.html").read_text()
    assert 'content="0; url=answers.html"' in left
    assert "Publication 3" in index.read_text()
    back = proofbook("publish", "--rollback", root=project)
    assert (back.returncode, back.stdout.splitlines()) == (0, ["publication 2 is shown again", str(index)])
    assert "Publication 2" in index.read_text()
    assert not (index.parent / "systems/shop/faq.html").exists()
    refused = proofbook("publish", "--rollback", "--no-run", root=project)
    assert (refused.returncode, refused.stdout) == (64, "")


def test_what_is_new_is_on_the_site_by_itself(project: Path) -> None:
    """`--follow` publishes what another process writes into the journal, and ends well when it is asked to."""
    command = [str(PROOFBOOK), "publish", "--no-run", "--follow", "--root", str(project)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=SURROUNDINGS) as process:
        try:
            assert process.stdout is not None
            told = (line for line in process.stdout if line.startswith("publication "))
            assert next(told).startswith("publication 1, ")
            assert proofbook("run", "shop/morning", root=project).returncode == 3
            assert re.fullmatch(r"publication 2, \d+ pages written anew in \d+\.\d s", next(told).strip())
            page = (project / "public/current/systems/shop/index.html").read_text()
            assert "SHOP_URL is not set" in page
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()


def test_one_command_does_not_serve_and_follow(project: Path) -> None:
    """Serving and following at once is refused, with what to do instead."""
    done = proofbook("publish", "--follow", "--serve", root=project)
    assert done.returncode == 64
    assert "proofbook serve" in done.stderr
