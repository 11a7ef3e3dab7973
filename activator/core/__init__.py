"""Pure machines of the request path: no I/O, no clock, no waiting, no randomness."""
