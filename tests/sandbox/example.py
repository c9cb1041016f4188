"""The stand-in of the kit's own text, small enough to see through."""

from __future__ import annotations

from typing import ClassVar

from checks.sandbox.kit import Answer, Call, Counted, HttpError, IssueTracker, Job, Request, Route, Service


class Example(Service):
    """Notes that are read often and written sometimes."""

    name = "example"
    FAULTS: ClassVar = {"errors": "Every read fails with status 503."}
    rate = 40.0
    burst = 20

    def setup(self) -> None:
        self.database.script("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        self.database.run("INSERT OR IGNORE INTO note VALUES (1, 'hello')")
        self.issues = IssueTracker(self.database, "someone/example")

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/notes/{id}", self._note),
            Route("GET", "/bug", self._bug),
            Route("GET", "/metrics", lambda _: Answer(self.window.figures().as_json()), Counted.OPERATOR),
            *self.issues.routes(),
        ]

    def traffic(self) -> Call:
        return Call("GET", "/notes/1")

    def jobs(self) -> list[Job]:
        return [Job("backup", 60, self.back_up)]

    def _note(self, request: Request) -> Answer:
        if "errors" in self.faults:
            raise HttpError(503, "storage does not answer")
        text = self.database.value("SELECT text FROM note WHERE id = ?", request.args["id"])
        if text is None:
            raise HttpError(404, f"there is no note {request.args['id']}")
        return Answer({"text": text})

    def _bug(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        raise ZeroDivisionError("a bug of the stand-in")
