"""Places that take nothing any more, one after another: what was whole stays whole, and words say what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from checks.journal import open_journal
from checks.model import Status
from tests.threats.shop import FINE, PROOFBOOK, Ended, Shop, open_shop

pytestmark = pytest.mark.slow

READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
FULL = 'mount -t tmpfs -o size=4k tmpfs "$0" && head -c 4096 /dev/zero > "$0/full" && exec "$@"'


@cache
def _may_mount() -> bool:
    unshare = shutil.which("unshare")
    if unshare is None or os.getuid() != 0:
        return False
    return (
        subprocess.run([unshare, "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True).returncode == 0
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop that has been published once."""
    if not _may_mount():
        pytest.skip("only root can make a place read-only or full for one process")
    shop = open_shop(tmp_path_factory.mktemp("places") / "site")
    shop.project.write(FINE)
    assert shop.call("publish").code == 0
    return shop


def _call(shop: Shop, how: str, places: Sequence[Path], *arguments: str) -> Ended:
    before: list[str | Path] = ["unshare", "-m"]
    for place in places:
        place.mkdir(exist_ok=True)
        before += ["sh", "-c", how, place]
    temporary = next((place for place in places if place.name == "temporary"), "/tmp")
    ended = subprocess.run(
        [*before, PROOFBOOK, *arguments, "--root", shop.root],
        env={**shop.surroundings, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize("how", [READ_ONLY, FULL], ids=["read-only", "full"])
@pytest.mark.parametrize(
    ("places", "code", "said"),
    [
        ([".proofbook/evidence"], 3, "the evidence cannot be kept"),
        ([".proofbook/inputs"], 3, "the inputs cannot be kept"),
        ([".proofbook/partial", "temporary"], 0, ""),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_15_a_run_says_which_place_takes_nothing(shop: Shop, how: str, places: list[str], code: int, said: str) -> None:
    """A run whose evidence or inputs cannot be kept says so; without a safety copy, and in another room, it is ok."""
    if places == [".proofbook/inputs"]:
        # What is there need not be written again.
        shop.project.write(f"{FINE}\n{os.urandom(4).hex()}\n")
    ended = _call(shop, how, [shop.root / place for place in places], "run", "shop/morning")
    assert ended.code == code, ended.said
    assert said in ended.said
    assert "Traceback" not in ended.err
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        last = journal.runs()[0]
        assert last.state.ended
        assert (last.status is Status.OK) == (code == 0)


def test_15_a_journal_that_takes_nothing_refuses_a_run(shop: Shop) -> None:
    """Where the journal cannot be written nothing is executed, the command says so, and what was there can still be read."""
    ended = _call(shop, READ_ONLY, [shop.root / ".proofbook"], "run", "shop/morning")
    assert ended.code == 73, ended.said
    assert "Traceback" not in ended.err
    read = _call(shop, READ_ONLY, [shop.root / ".proofbook"], "status")
    assert read.code in (0, 3), read.said
    assert "Traceback" not in read.err


def test_15_a_site_that_takes_nothing_stays(shop: Shop) -> None:
    """Where the site cannot be written, publishing fails with words, and readers go on reading what was there."""
    before = shop.page("status.json")
    ended = _call(shop, READ_ONLY, [shop.root / "public"], "publish", "--no-run")
    assert ended.code == 73, ended.said
    assert "Traceback" not in ended.err
    assert shop.page("status.json") == before
