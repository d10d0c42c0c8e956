"""What the tests rely on: Ctrl-C arrives, also where the suite was started in the background."""

import signal

# A shell without job control has what it starts with `&` ignore interrupts, and Python then takes
# no note of them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
