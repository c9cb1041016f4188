from __future__ import annotations

import signal

# A shell without job control starts what it puts into the background deaf to Ctrl-C, and every process below inherits that;
# the tests that press Ctrl-C need ears.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
