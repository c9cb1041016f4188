"""What Console.ext's operators may ask for: holding writes, switching over, delivering again, staging, deploying, a profile."""

from __future__ import annotations

import hmac
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from checks.sandbox.console_ext_delivery import Delivery
from checks.sandbox.console_ext_logs import CorrelatedLog
from checks.sandbox.console_ext_repository import Releases
from checks.sandbox.console_ext_store import Ledger
from checks.sandbox.kit import Answer, Counted, Faults, HttpError, Request, Route

_LOOK_EVERY = 0.005  # seconds between two looks of a profile
_OWN = Path(__file__).parent
_WAITING_IN = ("threading.py", "selectors.py", "socket.py", "queue.py", "socketserver.py", "process.py")


@dataclass
class Operators:
    """Everything here needs the operator's token.

    Attributes:
        after_switch: makes the first backups of a database that took another's place.
        changing: held while files change places.

    """

    token: Callable[[], str]
    ledger: Ledger
    delivery: Delivery
    log: CorrelatedLog
    faults: Faults
    releases: Releases
    after_switch: Callable[[], None]
    changing: threading.Lock
    held: threading.Event = field(default_factory=threading.Event)

    def routes(self) -> list[Route]:
        """Their addresses."""
        return [
            Route("POST", "/admin/hold", self.hold, Counted.OPERATOR),
            Route("POST", "/admin/switchover", self.switch_over, Counted.OPERATOR),
            Route("POST", "/admin/requeue", self.requeue, Counted.OPERATOR),
            Route("POST", "/admin/stage", self.stage, Counted.OPERATOR),
            Route("POST", "/admin/deploy", self.deploy, Counted.OPERATOR),
            Route("GET", "/admin/profile", self.profile, Counted.OPERATOR),
        ]

    def hold(self, request: Request) -> Answer:
        """Refuse new notifications and pause deliveries, or go on."""
        self._check(request)
        wanted = request.json().get("hold")
        if not isinstance(wanted, bool):
            raise HttpError(422, 'expected {"hold": true} or {"hold": false}')
        if wanted:
            self.held.set()
            self.delivery.pause()
        else:
            self.held.clear()
            self.delivery.resume()
        self.log.warning("writes are held" if wanted else "writes go on", event="hold")
        return Answer({"held": wanted})

    def switch_over(self, request: Request) -> Answer:
        """Put a restored database in the place of the live one; only while writes are held."""
        self._check(request)
        if not self.held.is_set():
            raise HttpError(409, 'hold the writes first: POST /admin/hold {"hold": true}')
        restored = Path(str(request.json().get("restored", "")))
        with self.changing:
            kept = self.ledger.replace_by(restored)
            self.faults.remove("database")  # it was lost, and is no longer
        self.delivery.reload()
        self.log.warning("switched over to a restored database", event="switchover", previous=kept.name)
        self.after_switch()
        return Answer({"previous": str(kept)})

    def requeue(self, request: Request) -> Answer:
        """Deliver again what failed in the last minutes."""
        self._check(request)
        minutes = request.json().get("minutes", 60)
        if not isinstance(minutes, int | float) or not 0 < minutes <= 1440:
            raise HttpError(422, "expected minutes between 0 and 1440")
        count = self.ledger.requeue(minutes)
        self.delivery.reload()
        return Answer({"requeued": count})

    def stage(self, request: Request) -> Answer:
        """Try a version on staging."""
        self._check(request)
        version = str(request.json().get("version", ""))
        if not version:
            raise HttpError(422, "expected a version")
        return Answer({"version": version, "well": self.releases.stage(version)})

    def deploy(self, request: Request) -> Answer:
        """Deploy what main holds."""
        self._check(request)
        return Answer({"version": self.releases.deploy()})

    def profile(self, request: Request) -> Answer:
        """Look for a second at what each thread is doing; the functions in which the time went.

        A function's share is of the second: 100 % is one thread that was in it all the time.
        """
        self._check(request)
        seen: Counter[str] = Counter()
        looks, until = 0, time.monotonic() + 1.0
        while time.monotonic() < until:
            own = threading.get_ident()
            for thread, frame in sys._current_frames().items():
                waits = thread == own or frame.f_code.co_filename.endswith(_WAITING_IN)
                if not waits and (function := _ours(frame)):
                    seen[function] += 1
            looks += 1
            time.sleep(_LOOK_EVERY)
        functions = [{"function": name, "percent": round(100 * count / looks, 2)} for name, count in seen.most_common(10)]
        return Answer({"looks": looks, "functions": functions})

    def _check(self, request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {self.token()}"):
            raise HttpError(403, "an operator's token is needed")


def _ours(frame: FrameType) -> str:
    """The innermost function of the service on a stack; empty for a thread that is none of its own."""
    inner: FrameType | None = frame
    while inner is not None:
        code = inner.f_code
        if Path(code.co_filename).parent == _OWN:
            return f"{Path(code.co_filename).stem}.{code.co_name}"
        inner = inner.f_back
    return ""
