"""A repository's issues, workflows and discussions, by GitHub's API."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._github_api import Api, NoAnswer
from checks.probes._support import Measuring, clipped, within
from checks.probes._targets import NoTarget, refuse_strangers, without_userinfo

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import GithubProbe

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_FAILED = frozenset(["failure", "timed_out", "startup_failure", "action_required"])
_SAY_NOTHING = frozenset(["cancelled", "skipped", "neutral", "stale"])
_DISCUSSIONS = """
query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
  hasDiscussionsEnabled discussions(first: 1, answered: false, states: [OPEN]) { totalCount } } }
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One measurement: whom to ask, of which repository, and what was declared."""

    api: Api
    repository: str
    declaration: GithubProbe
    measuring: Measuring


def probe(declaration: GithubProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Ask GitHub's API; see `GithubProbe`."""
    del unit
    base, repository = settled.fill(declaration.api), settled.fill(declaration.repository)
    token = settled.fill(declaration.token) if declaration.token else ""
    labels = f" labelled {', '.join(declaration.labels)}" if declaration.labels else ""
    measuring = Measuring(now, f"{without_userinfo(base)}: {declaration.measure} of {repository}{labels}", settled)
    seconds = declaration.timeout.total_seconds()
    try:
        refuse_strangers(base, settled)
    except NoTarget as error:
        return measuring.failed(str(error))
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        return measuring.failed(f"{clipped(repository, 60)} is no repository; expected owner/name")

    def work() -> Observation | Unmeasured:
        import httpx

        # Proxies and .netrc of whoever runs this change no figure; a redirect would carry the token elsewhere.
        with httpx.Client(trust_env=False, follow_redirects=False) as client:
            api = Api(client, base, token, time.monotonic() + seconds, now)
            return _measure(_Asked(api, repository, declaration, measuring))

    try:
        return within(seconds + 1, work)
    except TimeoutError:
        return measuring.late(seconds)
    except (NoAnswer, NoTarget) as error:
        return measuring.failed(f"{error}: {measuring.source}")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return measuring.failed(f"the answer does not have the shape of GitHub's: {measuring.source}")


def _measure(asked: _Asked) -> Observation | Unmeasured:
    match asked.declaration.measure:
        case "open-issues":
            count = sum(1 for _ in _issues(asked))
            return asked.measuring.gave(count, "", samples=count)
        case "oldest-unanswered":
            return _oldest_unanswered(asked)
        case "past-sla":
            return _past_sla(asked)
        case "failing-workflows":
            return _failing_workflows(asked)
        case _:
            return _discussions(asked)


def _issues(asked: _Asked) -> Iterator[dict[str, Any]]:
    """The open issues with the labels, the oldest first; pull requests are issues too for GitHub, but not for us."""
    query = {"state": "open", "sort": "created", "direction": "asc"}
    if asked.declaration.labels:
        query["labels"] = ",".join(asked.declaration.labels)
    for page in asked.api.pages(f"repos/{asked.repository}/issues", **query):
        if not isinstance(page, list):
            raise TypeError
        yield from (issue for issue in page if issue["number"] and "pull_request" not in issue)


def _oldest_unanswered(asked: _Asked) -> Observation | Unmeasured:
    seen = 0
    for issue in _issues(asked):
        seen += 1
        if not _answered(asked, issue):
            return asked.measuring.gave(_age(asked, issue).total_seconds(), "s", f"issue {int(issue['number'])}", samples=seen)
    return asked.measuring.gave(0, "s", f"all {seen} open issues were answered" if seen else "no open issue", samples=seen)


def _past_sla(asked: _Asked) -> Observation | Unmeasured:
    sla = asked.declaration.sla or timedelta(0)
    late: list[int] = []
    seen = 0
    for issue in _issues(asked):
        if _age(asked, issue) <= sla:
            break  # the rest are younger
        seen += 1
        if not _answered(asked, issue):
            late.append(int(issue["number"]))
    named = ", ".join(map(str, late[:5])) + (", …" if late[5:] else "")
    return asked.measuring.gave(len(late), "", f"issues {named}" if late else "", samples=seen)


def _answered(asked: _Asked, issue: dict[str, Any]) -> bool:
    """Whether somebody else than the issue's author has commented; a bot's greeting is no answer."""
    if issue.get("comments") == 0:
        return False
    author = (issue.get("user") or {}).get("login")
    for page in asked.api.pages(f"repos/{asked.repository}/issues/{int(issue['number'])}/comments"):
        for comment in page:
            user = comment.get("user") or {}
            if user.get("login") != author and user.get("type") != "Bot" and not str(user.get("login")).endswith("[bot]"):
                return True
    return False


def _age(asked: _Asked, issue: dict[str, Any]) -> timedelta:
    created = datetime.fromisoformat(str(issue["created_at"]))
    return max(timedelta(0), asked.measuring.now - (created if created.tzinfo else created.replace(tzinfo=UTC)))


def _failing_workflows(asked: _Asked) -> Observation | Unmeasured:
    failing: list[str] = []
    judged = 0
    for page in asked.api.pages(f"repos/{asked.repository}/actions/workflows"):
        for workflow in page["workflows"]:
            if workflow["state"] != "active":
                continue
            conclusion = _latest_conclusion(asked, int(workflow["id"]))
            judged += conclusion is not None
            if conclusion in _FAILED:
                failing.append(f"{workflow['name']}: {conclusion}")
    if not judged:
        return asked.measuring.failed(f"no workflow has a completed run: {asked.measuring.source}")
    return asked.measuring.gave(len(failing), "", "; ".join(failing) or f"{judged} workflows passed", samples=judged)


def _latest_conclusion(asked: _Asked, workflow: int) -> str | None:
    """How the latest run that says anything has ended."""
    branch = {"branch": asked.declaration.branch} if asked.declaration.branch else {}
    path = f"repos/{asked.repository}/actions/workflows/{workflow}/runs"
    runs = asked.api.one(path, status="completed", per_page="20", **branch)["workflow_runs"]
    return next((str(run["conclusion"]) for run in runs if run["conclusion"] not in _SAY_NOTHING), None)


def _discussions(asked: _Asked) -> Observation | Unmeasured:
    if not asked.declaration.token:
        return asked.measuring.failed("discussions are asked by GraphQL, which needs a `token:`")
    owner, _, name = asked.repository.partition("/")
    repository = asked.api.ask(_DISCUSSIONS, owner=owner, name=name)["repository"]
    if not repository["hasDiscussionsEnabled"]:
        return asked.measuring.failed(f"{asked.repository} has no discussions; they are switched off")
    return asked.measuring.gave(repository["discussions"]["totalCount"], "")
