"""How the kinds of probe are declared that look at code, its packages and its tracker, and at what runs and is kept."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from pydantic import Field, model_validator

from checks.catalogue._declaration import Declaration, Duration, Place, Timezone


class GitProbe(Declaration):
    """A repository on this machine, as it lies there: nothing is fetched, and nothing that its own configuration names is run.

    ``tags`` is how many tags match `pattern` (that one is there is a limit of ``< 1``); ``ahead`` how many commits `ref`
    has that `against` lacks, ``behind`` how many it lacks, ``diverged`` both together; ``age`` the time since the last
    commit of `ref`. A shallow clone cannot say how far two refs are apart: that is unknown.
    """

    kind: Literal["git"]
    repository: Place = Field(
        description="The folder of a repository or of its work tree, mostly a setting such as {repository}."
    )
    measure: Literal["tags", "ahead", "behind", "diverged", "age"]
    pattern: str = Field("*", description="Which tags are counted, by their names: v2.*")
    ref: str = "HEAD"
    against: str | None = Field(None, description="What `ref` is compared with, such as origin/main.")
    timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _two_refs_are_compared(self) -> GitProbe:
        if (self.measure in ("ahead", "behind", "diverged")) != bool(self.against):
            raise ValueError("expected `against:`, the other ref, beside ahead, behind or diverged, and only there")
        return self


class GithubProbe(Declaration):
    """A repository's tracker and workflows, asked by GitHub's API.

    ``open-issues`` is how many issues are open (pull requests are none) that bear each of `labels`;
    ``oldest-unanswered`` the age of the oldest of them that nobody but its author, or a bot, has commented on, 0 where
    each has been answered; ``past-sla`` how many have waited longer than `sla` for that first answer.
    ``failing-workflows`` is how many active workflows failed in their latest completed run (of `branch`);
    ``discussions`` how many open discussions have no answer, which needs a token. A rate limit that is used up is
    unknown until it is reset, and the reason says when that is.
    """

    kind: Literal["github"]
    api: str = Field(description="The API's address, a setting of the environment such as {github_api}.")
    repository: str = Field(description="owner/name")
    measure: Literal["open-issues", "oldest-unanswered", "past-sla", "failing-workflows", "discussions"]
    labels: list[str] = Field(default_factory=list)
    sla: Duration | None = None
    branch: str | None = None
    token: str | None = Field(None, description="A setting that holds a secret, such as {github_token}.")
    timeout: Duration = timedelta(seconds=20)

    @model_validator(mode="after")
    def _options_go_with_their_measure(self) -> GithubProbe:
        if (self.measure == "past-sla") != (self.sla is not None):
            raise ValueError("expected `sla:`, such as 4h, beside `measure: past-sla`, and only there")
        if self.labels and self.measure not in ("open-issues", "oldest-unanswered", "past-sla"):
            raise ValueError("expected `labels:` only where issues are measured")
        if self.branch and self.measure != "failing-workflows":
            raise ValueError("expected `branch:` only beside `measure: failing-workflows`")
        return self


class PackagesProbe(Declaration):
    """What a Python project is built of, and what is known of that.

    ``vulnerabilities`` is how many known ones pip-audit finds in the pinned `requirements`, or in the virtual environment
    in the folder `environment`; ``outdated`` how many packages of that environment have a newer release; ``licences`` how
    many of them bear a licence that is not in `allow`; ``findings`` how many places of the code in `project` bandit finds
    at fault, of at least `severity`. A package or file that could not be looked at makes it unknown, never safe. Nothing
    is installed and nothing of the project is run. ``pip install 'proofbook[packages]'`` brings pip-audit and bandit.
    """

    kind: Literal["packages"]
    measure: Literal["vulnerabilities", "outdated", "licences", "findings"]
    requirements: str | None = Field(None, description="A requirements file that pins each package to one version.")
    environment: str | None = Field(None, description="The folder of a virtual environment.")
    project: str | None = Field(None, description="The folder or file of code that bandit reads.")
    severity: Literal["low", "medium", "high"] = "medium"
    allow: list[str] = Field(default_factory=list, description="Licences: SPDX identifiers, or the words that a package uses.")
    ignore: list[str] = Field(default_factory=list, description="Packages left out, such as your own, which no index knows.")
    advisories: str | None = Field(None, description="An OSV service to ask in place of PyPI: {osv}/v1/query")
    index: str | None = Field(None, description="The package index to compare with; without it, the one that pip is set to.")
    timeout: Duration = timedelta(seconds=60)

    @model_validator(mode="after")
    def _each_measure_has_its_object(self) -> PackagesProbe:
        given = {name for name in ("requirements", "environment", "project") if getattr(self, name)}
        wanted = {
            "vulnerabilities": ({"requirements"}, {"environment"}),
            "outdated": ({"environment"},),
            "licences": ({"environment"},),
            "findings": ({"project"},),
        }[self.measure]
        if given not in wanted:
            raise ValueError(f"expected {' or '.join(f'`{next(iter(names))}:`' for names in wanted)} beside `{self.measure}`")
        if (self.measure == "licences") != bool(self.allow):
            raise ValueError("expected `allow:`, the licences that are fine, beside `measure: licences`, and only there")
        return self


class RetentionProbe(Declaration):
    """Whether a log keeps its entries as long as its policy says, over its rotated and gzipped files too.

    `policy` says how long entries of each level are kept, such as ``{ERROR: 365d, INFO: 60d, DEBUG: 7d}``.
    ``too-long`` is how many of these levels hold an entry older than that and `grace`; ``too-soon`` how many do not reach
    back that far, less `grace` (or not to `since`, where the log began later). A rare level needs a `grace` as long as it
    is usually silent. ``oldest`` and ``newest`` are the age of the oldest and newest entry, of `level` where one is named.
    """

    kind: Literal["retention"]
    path: Place = Field(description="The log; its rotated files lie beside it.")
    measure: Literal["too-long", "too-soon", "oldest", "newest"]
    policy: dict[str, Duration] = Field(default_factory=dict)
    level: str | None = None
    since: date | None = Field(None, description="The day that the log began.")
    grace: Duration = timedelta(days=1)
    timestamp: str = Field("ts", description="The JSON field that holds the time.")
    level_field: str = Field("level", alias="level-field", description="The JSON field that holds the level.")
    timezone: Timezone = Field("UTC", description="The zone of times that name none.")
    timeout: Duration = timedelta(seconds=30)

    @model_validator(mode="after")
    def _policy_goes_with_its_measures(self) -> RetentionProbe:
        if self.measure.startswith("too-") != bool(self.policy):
            raise ValueError("expected `policy:`, such as {ERROR: 365d, DEBUG: 7d}, beside too-long or too-soon, and only there")
        if self.level and self.policy:
            raise ValueError("expected no `level:` beside a policy, which names its levels")
        return self


class ServiceProbe(Declaration):
    """Units of systemd, or containers of Docker, on this machine.

    ``down`` is how many of `names` are not up: a unit is up while it is active, a container while it runs, is not being
    restarted and its health check, if it has one, does not fail. ``restarts`` is how often they were restarted by their
    manager, all together. One that the manager does not know is unknown, as is a host without the manager. Systemd is asked
    by its program systemctl, Docker on its local `socket`, to which nothing but the question is sent.
    """

    kind: Literal["service"]
    manager: Literal["systemd", "docker"]
    names: list[str] = Field(min_length=1)
    measure: Literal["down", "restarts"] = "down"
    socket: str = Field("/var/run/docker.sock", description="The path of Docker's socket; rootless Docker has its own.")
    timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _only_docker_has_a_socket(self) -> ServiceProbe:
        if "socket" in self.model_fields_set and self.manager != "docker":
            raise ValueError("expected no `socket:`; it goes with `manager: docker`")
        return self
