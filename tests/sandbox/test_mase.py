"""MASE's stand-in and runbooks: what is judged is what really happened, and a rollback really rolls back."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.catalogue import Catalogue
from checks.model import Result, Status, StepClass
from checks.sandbox import mase_site
from checks.sandbox.kit import Database, HttpError, IssueTracker, Job, running
from checks.sandbox.mase import Mase
from checks.sandbox.mase_browser import Visitor, visit
from checks.sandbox.mase_features import MODERN, Features
from checks.sandbox.mase_plugin import BAD_RELEASE, GOOD_RELEASE, Plugin, PluginMissing, release_in
from checks.sandbox.mase_support import SupportDesk
from tests.golden import cases
from tests.sandbox.walks import OPERATED, walk

ROOT = Path(__file__).parents[2]
VISITS = 36


class Quiet(Mase):
    """MASE without anything that happens by itself: a test visits, and says when faults are followed."""

    burst: ClassVar[int] = 0
    rate: ClassVar[float] = 0.001

    def jobs(self) -> list[Job]:
        """Only what must have happened once."""
        return [Job("support", 86_400, lambda: self.desk.catch_up(datetime.now(UTC)))]

    def break_and_visit(self, *faults: str, visits: int = VISITS) -> None:
        """Switch faults on and let users come by; the baseline is made before, of healthy visits."""
        self._first_visits()
        self.plugin.archive()
        for fault in faults:
            self.faults.add(fault)
        self._follow_faults()
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(self._visit) for _ in range(visits)]:
                done.result()


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quiet]:
    """The stand-in, serving in this process; pages take 20 ms instead of 110, and slow ones 40."""
    monkeypatch.setattr(mase_site, "_PAGE_SECONDS", 0.02)
    monkeypatch.setattr(mase_site, "_PREVIEW_SECONDS", 0.0)
    monkeypatch.setattr(mase_site, "_REST_SECONDS", 0.0)
    monkeypatch.setattr(mase_site, "_SLOWER", {"page": 0.02, "preview": 0.0, "rest": 0.0})
    with running(Quiet(tmp_path / "mase")) as started:
        yield started


Execute = Callable[..., dict[str, list[Result]]]


@pytest.fixture
def execute(catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Executes a runbook's cells in this process: those of read steps, or all; the results by metric."""

    def run(name: str, variables: Mapping[str, str], **more: Any) -> dict[str, list[Result]]:
        return walk(catalogue, f"mase/{name}", variables, tmp_path, monkeypatch, **{"classes": {StepClass.READ}, **more})

    return run


def send(service: Quiet, method: str, path: str, body: object = None, token: str | None = None) -> httpx.Response:
    """A request of an operator."""
    given_token = service.variables()["MASE_ADMIN_TOKEN"] if token is None else token
    headers = {"Authorization": f"Bearer {given_token}"}
    return httpx.request(method, f"{service.url}/wp-json/mase/v1{path}", json=body, headers=headers, trust_env=False, timeout=10)


@pytest.mark.parametrize("case", cases("mase"))
def test_a_fault_is_felt_where_it_should_be(case: dict[str, Any], service: Quiet, execute: Execute) -> None:
    """Each fault turns the metrics of its runbook to what its case says, and leaves the others as they were."""
    service.break_and_visit(*case["input"]["faults"], visits=case["input"].get("visits", VISITS))

    results = execute(case["input"]["runbook"], {} if case["input"].get("away") else service.variables())

    assert {metric: results[metric][-1].status.value for metric in case["expected"]} == case["expected"]


def test_memory_is_really_taken_and_given_back(service: Quiet) -> None:
    """The memory fault raises the process' resident size by about a hundred megabytes, and healing lowers it again."""
    import psutil

    process = psutil.Process()
    before = process.memory_info().rss
    service.faults.add("memory")
    service._follow_faults()
    held = process.memory_info().rss
    service.faults.remove("memory")
    service._follow_faults()

    assert held - before > 90_000_000
    assert held - process.memory_info().rss > 90_000_000


def test_every_metric_is_checked_by_a_read_step(service: Quiet, execute: Execute, catalogue: Catalogue) -> None:
    """Runbooks that run without an operator judge each declared metric, and all of them are ok on a healthy site."""
    service.break_and_visit()
    service.source.work()
    variables = service.variables()
    results = {
        metric: found
        for name in ("daily-checks", "weekly-checks", "rollback-decision", "rollout-report")
        for metric, found in execute(name, variables).items()
    }

    assert set(results) == set(catalogue.systems["mase"].metrics)
    # The stand-in shares this process with the tests, so its memory is theirs.
    assert {one.metric for found in results.values() for one in found if one.status is not Status.OK} <= {"memory"}


def test_a_rollback_really_rolls_back(service: Quiet, execute: Execute) -> None:
    """Operated on a bad release, the rollback switches flags off, swaps the folder, keeps the old one, and users are well."""
    service.break_and_visit("js-errors")
    assert service.plugin.version() == BAD_RELEASE

    results = execute("rollback", service.variables(), classes=OPERATED, parameters={"reason": "P1: German users"})

    assert service.plugin.version() == GOOD_RELEASE
    assert not (service.plugin.folder / "includes" / "engine-next.php").exists()
    flags = service.features.as_json()
    assert flags["legacy_fallback"] is True
    assert not any(one["enabled"] or one["rollout"] for one in flags["features"])
    assert results["features-off"][-1].status is Status.WARNING
    (kept,) = service.backups.glob("before-rollback-*")
    assert sorted(path.name for path in kept.iterdir()) == ["features.json", "mase.tar.gz", "reason.txt", "replaced"]
    assert release_in(kept / "mase.tar.gz") == BAD_RELEASE
    assert (kept / "replaced" / "includes" / "engine-next.php").exists()
    page = httpx.get(f"{service.url}/wp-admin/admin.php?page=mase&user=1&locale=de", trust_env=False)
    assert page.status_code == 200
    assert "mase-config" not in page.text


def test_an_undone_restore_brings_the_former_folder_back(service: Quiet, execute: Execute) -> None:
    """The undo that the restoring step states puts the replaced folder where it was."""
    service.break_and_visit("js-errors", visits=1)
    execute("rollback", service.variables(), classes=OPERATED)
    (kept,) = service.backups.glob("before-rollback-*")
    text = (ROOT / "notebooks/mase/rollback.md").read_text(encoding="utf-8")
    undo = next(line for line in text.replace("\n", " ").split("`") if line.startswith('mv "$PLUGINS/mase" "$KEPT/restored"'))

    environment = {**os.environ, "PLUGINS": str(service.plugin.folder.parent), "KEPT": str(kept)}
    subprocess.run(["bash", "-euc", undo], check=True, env=environment, timeout=10)

    assert service.plugin.version() == BAD_RELEASE


def test_a_rollback_that_only_reads_changes_nothing(service: Quiet, execute: Execute) -> None:
    """Run without an operator, the rollback's read steps leave flags, folder and backups alone."""
    service.break_and_visit(visits=1)
    before = (service.features.as_json(), service.plugin.version(), sorted(service.backups.iterdir()))

    execute("rollback", service.variables())

    assert (service.features.as_json(), service.plugin.version(), sorted(service.backups.iterdir())) == before


def test_a_hotfix_reaches_users_through_staging_with_its_feature_off(service: Quiet, execute: Execute) -> None:
    """The fix is branched from the release, tested, built, tried on staging, and deployed while its feature is off."""
    service.break_and_visit("js-errors")
    service.source.work()
    assert service.plugin.version() == BAD_RELEASE

    results = execute("hotfix", service.variables(), classes=OPERATED)

    assert service.plugin.version() == service.source.staging.plugin.version() == GOOD_RELEASE
    assert {"name": MODERN[0], "enabled": False, "rollout": 0} in service.features.as_json()["features"]
    assert results["tests-failed"][0].status is Status.OK
    assert service.source.ci is not None
    assert service.source.ci.commit_of("hotfix") == service.source.ci.commit_of("v2.5.0")


def test_a_hotfix_that_fails_its_tests_is_never_built(service: Quiet, execute: Execute) -> None:
    """With the German strings cut off on the branch the procedure ends at the tests, and nothing is deployed anywhere."""
    service.break_and_visit()
    service.faults.add("tests")
    service.source.work()
    service.source.repository.git("push", "--quiet", "origin", "main:hotfix")

    with pytest.raises(SystemExit, match=r"ci/tests\.py failed"):
        execute("hotfix", service.variables(), classes=OPERATED)

    assert not list(service.source.staging.plugin.folder.parent.parent.glob("mase-before-*"))
    results = execute("rollout-report", service.variables())
    assert results["tests-failed"][-1].status is Status.CRITICAL
    service.faults.remove()
    service.source.work()
    assert service.source.ci is not None
    assert service.source.ci.main["failed"] == 0


def test_one_feature_is_taken_and_given_back_while_the_others_stay(service: Quiet, execute: Execute) -> None:
    """Switching a feature off and re-enabling it for a percentage touches that feature alone."""
    service.break_and_visit(visits=1)
    before = {one["name"]: one for one in service.features.as_json()["features"]}

    execute("disable-feature", service.variables(), classes=OPERATED, parameters={"feature": MODERN[1]})
    off = {one["name"]: one for one in service.features.as_json()["features"]}
    execute("re-enable", service.variables(), classes=OPERATED, parameters={"feature": MODERN[1], "percentage": 30})
    on = {one["name"]: one for one in service.features.as_json()["features"]}

    assert off == {**before, MODERN[1]: {"name": MODERN[1], "enabled": False, "rollout": 0}}
    assert on == {**before, MODERN[1]: {"name": MODERN[1], "enabled": True, "rollout": 30}}


def test_flags_are_changed_only_with_the_token(service: Quiet) -> None:
    """Without the administrator's token a change is refused and nothing changes."""
    before = service.features.as_json()

    answers = [
        send(service, "PATCH", "/features", {MODERN[0]: {"enabled": False}}, token=token) for token in ("none", "wrong")
    ] + [send(service, "DELETE", "/transients", token="wrong")]

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert service.features.as_json() == before


@pytest.mark.parametrize(
    "wanted",
    [
        {"affected_feature": {"enabled": False}},
        {MODERN[0]: False},
        {MODERN[0]: {}},
        {MODERN[0]: {"rollout": 101}},
        {MODERN[0]: {"rollout": True}},
        {MODERN[0]: {"enabled": 0}},
        {"legacy_fallback": {"enabled": True}},
        {MODERN[0]: {"enabled": False}, "typo": True},
    ],
)
def test_a_wrong_change_of_flags_changes_nothing(wanted: dict[str, Any], tmp_path: Path) -> None:
    """A name or value that is not known is refused, and what stood beside it is not applied either."""
    features = Features(Database(tmp_path / "flags.db"))
    features.create()
    before = features.as_json()

    with pytest.raises(HttpError) as refused:
        features.change(wanted)

    assert refused.value.status == 400
    assert features.as_json() == before


def test_a_rollout_reaches_its_percentage_of_users(tmp_path: Path) -> None:
    """Of a hundred users in a row, a feature at n percent serves n, and whoever it served stays when n grows."""
    features = Features(Database(tmp_path / "flags.db"))
    features.create()
    served: list[set[int]] = []
    for percent in (0, 10, 25, 50, 100):
        features.change({MODERN[0]: {"rollout": percent}})
        served.append({user for user in range(100) if features.has(MODERN[0], user)})

    assert [len(users) for users in served] == [0, 10, 25, 50, 100]
    assert all(fewer <= more for fewer, more in pairwise(served))


def test_a_sick_site_records_no_baseline(service: Quiet) -> None:
    """A site that starts with a fault has nothing to compare with, and says so."""
    service.faults.add("slow")
    service._first_visits()

    load = send(service, "GET", "/performance").json()["initial_load"]

    assert load["baseline"] is None
    assert load["now"]["samples"] >= 20


def test_a_site_that_was_sick_at_first_gets_its_baseline_when_it_is_well(service: Quiet) -> None:
    """The baseline comes late, once no fault was on for a whole window, and not a moment sooner."""
    service.faults.add("slow")
    service._follow_faults()
    service._first_visits()
    service.faults.remove("slow")
    service._follow_faults()

    service._record_late_baseline()
    sooner = send(service, "GET", "/performance").json()["initial_load"]["baseline"]
    service._sick_at -= service.window_seconds
    service._record_late_baseline()

    assert sooner is None
    assert send(service, "GET", "/performance").json()["initial_load"]["baseline"]["samples"] >= 20


def test_a_page_without_its_plugin_is_a_fatal_error(service: Quiet) -> None:
    """Where the plugin's folder is gone, the page is a 500 and debug.log says which file is missing."""
    service.plugin.remove()

    answer = httpx.get(f"{service.url}/wp-admin/admin.php?page=mase", trust_env=False)

    assert answer.status_code == 500
    assert "PHP Fatal error" in service.debug_log.path.read_text(encoding="utf-8").splitlines()[-1]
    with pytest.raises(PluginMissing):
        service.plugin.version()


def test_a_browser_reports_what_its_scripts_throw(service: Quiet) -> None:
    """A German visitor of the bad release posts an error; an English one and one in the old editor do not."""
    service.plugin.install(BAD_RELEASE)
    for visitor in (Visitor(1, "de", False), Visitor(2, "en", False), Visitor(3, "de", True)):
        visit(service.url, visitor, Random(1))

    javascript = send(service, "GET", "/metrics").json()["javascript"]

    assert (javascript["count"], javascript["failed"]) == (3, 1)


def test_a_new_archive_holds_the_folder_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives can be read whole, a cut one is known as such, and the newest of each release outlives the pruning."""
    plugin = Plugin(tmp_path / "mase", tmp_path / "backups")
    plugin.install(GOOD_RELEASE)
    with clock(monkeypatch) as tick:
        first = plugin.archive()
        plugin.install(BAD_RELEASE)
        for _ in range(12):
            tick()
            plugin.archive()
        tick()
        cut = plugin.archive(cut_off=True)

    assert release_in(first) == GOOD_RELEASE
    assert release_in(cut) is None
    assert len(plugin.archives()) == 11
    with tarfile.open(first) as archive:
        assert "mase/mase.php" in archive.getnames()


@contextmanager
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Lets a test pass seconds, as archives are named by them."""
    moment = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # noqa: ARG003 - datetime's own form
            return moment

    def tick() -> None:
        nonlocal moment
        moment += timedelta(seconds=1)

    monkeypatch.setattr("checks.sandbox.mase_plugin.datetime", Clock)
    yield tick


@settings(max_examples=15, deadline=None)
@given(pauses=st.lists(st.integers(min_value=1, max_value=200_000), min_size=1, max_size=6))
def test_the_support_desk_is_steady_whenever_it_is_looked_at(pauses: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """However long the sandbox was down between starts, each hour has twelve tickets, one complaint at most, and no gap."""
    database = Database(tmp_path_factory.mktemp("desk") / "desk.db")
    desk = SupportDesk(database, IssueTracker(database, "mase/support"))
    now = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
    for pause in pauses:
        now += timedelta(seconds=pause)
        desk.catch_up(now)
    rows = database.rows("SELECT created_at, labels FROM issue ORDER BY number")
    database.close()
    opened = [(datetime.fromisoformat(at), labels) for at, labels in rows]
    for hours in range(24):
        until = now - timedelta(hours=hours)
        hour = [labels for at, labels in opened if until - timedelta(hours=1) < at <= until]
        assert len(hour) == 12
        assert sum("complaint" in labels for labels in hour) <= 1
