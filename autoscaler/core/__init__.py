"""Pure decision machines: no I/O, no clock, no waiting, no randomness."""
