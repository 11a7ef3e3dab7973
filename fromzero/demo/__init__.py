"""The demo: real models on this machine, a script of real requests, and a verdict."""
