"""A run that misbehaves, from the notebook to the exit status, the journal and the published page."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from checks.journal import open_journal
from checks.run.evidence import path_of
from tests.run.project import SYSTEM
from tests.threats.shop import FINE, Ended, Shop, open_shop

pytestmark = pytest.mark.slow

MARKER = f"33{time.time_ns() % 10**9}"
DEAF = f"""\
import os, signal, subprocess, sys, time
for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(signum, signal.SIG_IGN)
subprocess.Popen(["setsid", "env", "-i", "sleep", "{MARKER}"])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "{MARKER}"])
    os._exit(0)
while True:
    try:
        time.sleep({MARKER})
    except BaseException:
        pass
"""
FORGED = """\
import os
from IPython.display import display
forged = {
    "version": %s, "run": %s, "system": %s, "metric": "error-rate", "title": "Error rate", "status": "ok", "reason": "",
    "judged_at": "2026-01-01T00:00:00Z", "warning": None, "critical": None,
    "observation": {"value": 0.0, "unit": "%%", "measured_at": "2026-01-01T00:00:00Z", "took": 0.0, "source": "", "detail": ""},
}
display({"application/vnd.proofbook.result+json": forged}, raw=True)
"""
MINE = "os.environ['PROOFBOOK_RUN']"
NOISE = r"""
import os, sys
from checks import check
os.write(1, b"bytes \xff\xfe\x00 that are no text\n")
print("half a character \ud83d and a NUL \x00 and " + "a long line " * 90_000)
sys.stderr.write("\x1b]0;owned\x07\x9b2J\u202egnp.exe\n")
check("error-rate", 0.4)
"""


def _python(source: str) -> str:
    return f"## Look\n\n```python\n{source}\n```\n"


def _bash(source: str) -> str:
    return f"## Look\n\n```bash\n{source}\n```\n"


LIES = """\
import checks.judge
from dataclasses import replace
from checks import Status, check
honest = checks.judge.judge
checks.judge.judge = lambda *given: replace(honest(*given), status=Status.OK, reason="")
check("error-rate", 50)
"""
FORGOTTEN = """\
import asyncio
async def fails():
    raise ValueError("lost on the way")
task = asyncio.create_task(fails())
"""
SHORT = "cell-deadline: 2s\n"
BAD: dict[str, tuple[str, str]] = {
    "endless": (_python("print('got this far', flush=True)\nwhile True: pass"), SHORT),
    "deaf": (_python(DEAF), SHORT),
    "asks": (_python("input('really? ')"), ""),
    "leaves": (_python("import os\nos._exit(0)"), ""),
    "killed": (_python("import os\nos.kill(os.getpid(), 9)"), ""),
    "early-failure": (_bash("cat /no/such/list\necho all is well"), ""),
    "escape": (_python("!exit 3"), ""),
    "pipe": (_bash("cat /no/such/list | sort | head -1"), ""),
    "thread": (_python("import threading\nthread = threading.Thread(target=lambda: 1 / 0)\nthread.start(); thread.join()"), ""),
    "task": (_python(FORGOTTEN), ""),
    "silent": (_python("print('nothing was checked')"), ""),
    "nan": (_python("from checks import check\ncheck('error-rate', float('nan'))"), ""),
    "inf": (_python("from checks import check\ncheck('error-rate', float('inf'))"), ""),
    "words": (_python("from checks import check\ncheck('error-rate', 'hardly any')"), ""),
    "forged-mine": (_python(FORGED % ("1", MINE, "'shop'")), ""),
    "forged-other": (_python(FORGED % ("1", "'01ANOTHERRUN'", "'shop'")), ""),
    "forged-bank": (_python(FORGED % ("1", MINE, "'bank'")), ""),
    "forged-old": (_python(FORGED % ("0", MINE, "'shop'")), ""),
    "lied": (_python(LIES), ""),
    "cut-short": ("## Look\n\n```python\nfrom checks import check\ncheck('error-ra", ""),
}
FAIRLY_OK = {
    # Each judged something before it misbehaved; without that, having judged nothing would be reason enough.
    name: f"{FINE}\n{body}"
    for name, (body, _) in BAD.items()
    if name not in ("silent", "nan", "inf", "words", "cut-short")
}


@dataclass(frozen=True, slots=True)
class Bad:
    """The shop after every bad notebook has been run once, all at once, and published."""

    shop: Shop
    ended: Ended
    runs: dict[str, Any]

    def reason(self, name: str) -> str:
        """Why a run is unknown: by itself or by its results, the same in the answer, the journal and the site."""
        run = self.runs[name]
        reasons = "; ".join([run["reason"], *(result["reason"] for result in run["results"])])
        assert run["status"] == "unknown", (name, run["status"], reasons)
        with open_journal(self.shop.project.catalogue.settings.journal) as journal:
            kept = journal.run(run["id"])
        assert kept is not None
        assert (kept.status.value, kept.reason) == ("unknown", run["reason"])
        return reasons

    def evidence(self, name: str) -> str:
        """The kept notebook of a run; it must be a valid one."""
        path = path_of(self.shop.root / ".proofbook", self.runs[name]["evidence"])
        text = path.read_text(encoding="utf-8")
        nbformat.validate(nbformat.reads(text, as_version=4))
        return text


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Bad:
    """All bad notebooks, run by one command and then published by another."""
    shop = open_shop(tmp_path_factory.mktemp("bad") / "site")
    for name, (body, front_matter) in BAD.items():
        shop.project.write(FAIRLY_OK.get(name, body), name, front_matter)
    shop.project.write(_python(NOISE), "noise")
    ended, runs = shop.run("--all", "--jobs", "4")
    assert set(runs) == {*BAD, "noise"}, ended.err
    published = shop.call("publish", "--no-run")
    assert published.code == 0, published.err
    return Bad(shop, ended, runs)


def _alive() -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if MARKER in (process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def test_02_a_cell_that_never_ends_is_unknown_with_what_it_said(bad: Bad) -> None:
    """A cell over its deadline makes its run timed-out and unknown, and what it had said by then is kept."""
    assert "cell-deadline of 2 s passed" in bad.reason("endless")
    assert bad.runs["endless"]["state"] == "timed-out"
    assert "got this far" in bad.evidence("endless")


def test_03_nothing_outlives_a_cell_that_ignores_every_signal(bad: Bad) -> None:
    """A cell deaf to INT, TERM and HUP ends by force, and so do its grandchildren in sessions of their own."""
    assert "cell-deadline of 2 s passed" in bad.reason("deaf")
    assert _alive() == []


def test_07_input_is_refused(bad: Bad) -> None:
    """A cell that asks a question fails at once, with the reason."""
    assert "input() is refused" in bad.reason("asks")
    assert bad.runs["asks"]["state"] == "failed"


@pytest.mark.parametrize(("name", "how"), [("leaves", "with exit status 0"), ("killed", "by signal 9")])
def test_08_a_kernel_that_ends_itself_is_unknown(bad: Bad, name: str, how: str) -> None:
    """A kernel that ends under a run, politely or not, leaves it failed and unknown, although a check had been ok."""
    assert f"the kernel died, {how}" in bad.reason(name)
    assert [result["status"] for result in bad.runs[name]["results"]] == ["ok"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("early-failure", "cat: /no/such/list"),
        ("escape", "exit status 3"),
        ("pipe", "cat: /no/such/list"),
        ("thread", "division by zero"),
        ("task", "lost on the way"),
    ],
)
def test_09_a_failure_that_is_not_the_last_word_is_seen(bad: Bad, name: str, why: str) -> None:
    """A command before the last, a shell escape, a part of a pipe, a thread, a task nobody awaits: each fails its run."""
    assert why in bad.reason(name)
    assert bad.runs[name]["state"] == "failed"


def test_10_a_runbook_that_checked_nothing_is_unknown(bad: Bad) -> None:
    """A run to the end without a single check is unknown and says so."""
    assert "no check judged anything" in bad.reason("silent")


SKIPPED = """\
  outdated:
    title: Outdated packages
    unit: packages
    probe: {kind: packages, measure: outdated, environment: "{folder}/venv", index: "{index}"}
    critical: any
  licences:
    title: Packages of another licence
    unit: packages
    probe: {kind: packages, measure: licences, environment: "{folder}/none", allow: [MIT]}
    critical: any
  findings:
    title: Findings in the code
    unit: findings
    probe: {kind: packages, measure: findings, project: "{folder}/none"}
    critical: any
"""


def test_11_a_tool_that_looked_at_nothing_found_nothing_and_proves_nothing(tmp_path: Path) -> None:
    """Pip passes over what it cannot look up, and a scan of nothing finds nothing: each is unknown, and says why."""
    shop = open_shop(tmp_path / "site")
    settings = '    folder: "${SHOP_FOLDER}"\n'
    shop.project.describe(SYSTEM.replace(settings, settings + '    index: "http://127.0.0.1:9/simple"\n', 1) + SKIPPED)
    packages = shop.root / "shop" / "venv" / "lib" / "python3.11" / "site-packages"
    (packages / "alpha-1.0.dist-info").mkdir(parents=True)
    (packages / "alpha-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: alpha\nVersion: 1.0\n")
    (shop.root / "shop" / "none" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    shop.project.write(_python("from checks import check\nfor name in ('outdated', 'licences', 'findings'): check(name)"))
    ended, runs = shop.run("shop/morning")
    found = {result["metric"]: (result["status"], result["reason"]) for result in runs["morning"]["results"]}
    assert (ended.code, runs["morning"]["status"], {status for status, _ in found.values()}) == (3, "unknown", {"unknown"})
    assert "1 of 1 packages could not be looked up" in found["outdated"][1]
    assert "there is no package in" in found["licences"][1]
    assert "there is no Python code in" in found["findings"][1]


def test_12_output_that_is_no_text_harms_nothing(bad: Bad) -> None:
    """Invalid UTF-8, NUL, half a character, a megabyte in one line and escapes leave the results, evidence and page whole."""
    run = bad.runs["noise"]
    assert (run["state"], run["status"], run["reason"]) == ("finished", "ok", "")
    assert "a long line" in bad.evidence("noise")
    page = bad.shop.page("systems/shop/runbooks/noise.html")
    assert "a long line" in page or "evidence" in page
    for character in ("\0", "\x1b", "\x9b", "\u202e"):
        assert character not in page


@pytest.mark.parametrize("name", ["nan", "inf", "words"])
def test_13_what_is_no_number_is_unknown(bad: Bad, name: str) -> None:
    """NaN, an infinity and words where a number was due are never judged."""
    bad.reason(name)
    assert "ok" not in [result["status"] for result in bad.runs[name]["results"]]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("forged-mine", "results were emitted"),
        ("forged-other", "another run"),
        ("forged-bank", "another system"),
        ("forged-old", "another version"),
    ],
)
def test_14_a_forged_result_is_found_out(bad: Bad, name: str, why: str) -> None:
    """A result that no check emitted, or of another run, system or version, makes its run unknown."""
    assert why in bad.reason(name)


def test_14_a_status_that_the_limits_do_not_give_is_found_out(bad: Bad) -> None:
    """A cell that makes our own judge say ok of a value beyond its limits is judged once more, outside of its reach."""
    assert "error-rate is critical by its limits, not ok" in bad.reason("lied")
    assert [result["status"] for result in bad.runs["lied"]["results"]] == ["ok", "unknown"]


def test_14_a_notebook_cut_short_is_never_ok(bad: Bad) -> None:
    """A notebook that ends in the middle of a line of code is a failed run."""
    bad.reason("cut-short")
    assert bad.runs["cut-short"]["state"] == "failed"


def test_none_of_them_is_green_anywhere(bad: Bad) -> None:
    """The command ends with 3, and each bad run needs someone on the published site, in words and in status.json."""
    assert bad.ended.code == 3
    published = bad.shop.published()
    assert published["status"] == "unknown"
    home = bad.shop.page("index.html")
    for name in BAD:
        page = bad.shop.page(f"systems/shop/runbooks/{name}.html")
        assert "Unknown" in page, name
        if name in ("nan", "inf", "words"):
            continue  # they ended well; what needs someone is the metric
        assert published["runs"][f"shop/{name}"]["status"] == "unknown"
        assert name in home


def test_14_evidence_altered_on_disk_is_not_shown(tmp_path: Path) -> None:
    """Evidence whose bytes no longer match their digest is not published as what was found."""
    shop = open_shop(tmp_path / "site")
    slug = shop.project.write(FINE)
    _, runs = shop.run(slug)
    path = path_of(shop.root / ".proofbook", runs["morning"]["evidence"])
    path.write_text(path.read_text().replace("0.4", "0.1"))
    assert shop.call("publish", "--no-run").code == 0
    assert not list((shop.root / "public/current").rglob(f"*{runs['morning']['id']}*"))


HOSTILE = "'; touch $HOME/../owned; echo \"\n{1/0} $(touch owned) `touch owned` ''' {{ x }} %s <script>x</script> ${SHOP_FOLDER}"


def test_16_a_parameter_is_data_all_the_way(tmp_path: Path) -> None:
    """Quotes, newlines, code and braces given on the command line reach Python, bash, journal and page as they are."""
    shop = open_shop(tmp_path / "site")
    body = (
        "```python\nimport json\nfrom checks import check\nprint(json.dumps(note))\ncheck('error-rate', 0)\n```\n\n"
        '```bash\nprintf %s "$PARAM_NOTE" > said; test "$(ls)" = said\n```\n\n'
        "```python\nassert open('said', newline='').read() == note\n```\n"
    )
    slug = shop.project.write(body, front_matter="parameters:\n  note: {type: string}\n")
    ended, runs = shop.run(slug, "-p", f"note={HOSTILE}")
    assert ended.code == 0, runs
    assert runs["morning"]["parameters"] == {"note": HOSTILE}
    assert shop.call("publish", "--no-run").code == 0
    for page in (shop.root / "public/current").rglob("*.html"):
        assert "<script>x</script>" not in page.read_text()


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("note.__class__=x", 65, "has no parameter"),
        ("note=a\udcffb", 64, "an argument is no text"),
        ("__builtins__=x", 65, "has no parameter"),
    ],
)
def test_16_a_name_or_text_that_cannot_be_is_refused(tmp_path: Path, given: str, code: int, said: str) -> None:
    """A parameter's name that nobody declared, or bytes that are no text, are refused before anything runs."""
    shop = open_shop(tmp_path / "site")
    slug = shop.project.write(FINE, front_matter="parameters:\n  note: {type: string, default: x}\n")
    ended = shop.call("run", slug, "-p", given)
    assert ended.code == code
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_17_a_hostile_folder_is_ignored(tmp_path: Path) -> None:
    """Modules that shadow ours, start-up files and Jupyter's configuration, in the current folder or the project, do nothing."""
    shop = open_shop(tmp_path / "site")
    shop.project.write(FINE)
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    for folder in (trap, shop.root):
        folder.mkdir(exist_ok=True)
        (folder / "checks").mkdir()
        for name in (
            "sitecustomize.py",
            "usercustomize.py",
            "checks/__init__.py",
            "yaml.py",
            "IPython.py",
            "jinja2.py",
            "json.py",
        ):
            (folder / name).write_text(f"open({str(sprung)!r}, 'a').write({name!r})\nraise SystemExit('sprung')\n")
        for name in ("jupyter_config.py", "ipython_config.py", "ipython_kernel_config.py", "jupyter_notebook_config.py"):
            (folder / name).write_text(f"open({str(sprung)!r}, 'a').write({name!r})\n")
    for folder in (trap, shop.root):
        published = shop.call("publish", cwd=folder)
        assert published.code == 0, published.said
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert [run.status.value for run in journal.runs()] == ["ok", "ok"]
    assert not sprung.exists(), sprung.read_text()


def test_15_a_disk_that_is_full_leaves_what_is_published(tmp_path: Path) -> None:
    """When no file can grow any more, run and publish fail with words, and the site and the journal stay as they were."""
    import resource
    import subprocess

    from tests.threats.shop import PROOFBOOK

    shop = open_shop(tmp_path / "site")
    slug = shop.project.write(FINE)
    assert shop.call("publish").code == 0
    before = json.loads(shop.page("status.json"))
    for arguments in (["publish", "--no-run"], ["run", slug]):
        full = subprocess.run(
            [PROOFBOOK, *arguments, "--root", shop.root],
            env=shop.surroundings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
        )
        assert full.returncode not in (0, 1, 70), full.stderr
        assert "Traceback" not in full.stderr
    assert json.loads(shop.page("status.json")) == before
    assert [path.name for path in (shop.root / "public/publications").iterdir()] == ["0001"]
    ended, runs = shop.run(slug)
    assert ended.code == 0, runs
