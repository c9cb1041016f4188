"""When runbooks are due, and who runs them: each slot once, whoever asks."""

from checks.schedule.claims import claim_due, due_here, not_due, runbooks_here
from checks.schedule.due import Slot, due, next_due, occurrences

__all__ = ["Slot", "claim_due", "due", "due_here", "next_due", "not_due", "occurrences", "runbooks_here"]
