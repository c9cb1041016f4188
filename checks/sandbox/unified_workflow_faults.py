"""The workflow system's faults: what each of them really does while it is on."""

from __future__ import annotations

FAULTS = {
    "errors": "One API answer in five is 500.",
    "slow": "Three lists in four lost their index and take half a second of real work, one after another.",
    "memory": "The service holds two hundred megabytes that it does not need.",
    "database": "The database cannot be opened; whatever needs it is answered 503.",
    "auth": "The authentication service fails three logins in ten with 503.",
    "passwords": "One login in four is tried with a wrong password.",
    "sessions": "New sessions end by themselves after 0.3 s, so people are thrown out.",
    "leak": "The row policies of all tables are off: a tenant's list holds every tenant's rows.",
    "snoop": "A client of one tenant asks for other tenants' customers by their numbers, and is refused.",
    "audit": "The audit log is off: nobody notes who asks for whose rows.",
    "role": "The role check is skipped, so a Beautician may do anything.",
    "commissions": "Release 2.0.0 is deployed; it books ten times the commission and loses links. Healing corrects them.",
    "codes": "The sequence of customer codes stands still, so each new customer's code collides and is refused.",
    "duplicates": "The sequence stands still and the table takes codes twice; healing gives the later ones new codes.",
    "events": "The receiver of live events answers 503; events pile up undelivered.",
    "js-errors": "The page's script is cut off halfway, as a broken deployment would leave it.",
    "bundle": "The page's script takes 3.3 s to arrive.",
    "standstill": "Nobody creates workflows or customers any more.",
    "index": "The indexes that list a tenant's workflows are dropped, so that every row is read.",
    "pool": "Eleven of twelve connections to the database are taken and not given back.",
    "rpc": "Each remote function breaks off and answers 500.",
    "tokens": "One token in ten is not known any more.",
    "stuffing": "Somebody tries one password for many names, six a second, from one address.",
    "tracing": "The receiver of live events writes its log lines without the trace.",
    "logs": "The application's log gets no more lines of events.",
    "unheard": "Every second workflow is finished without its event.",
    "dashboards": "The dashboard of the business is not there any more.",
}
