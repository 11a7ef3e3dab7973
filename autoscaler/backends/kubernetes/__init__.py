"""A cluster as a backend: what is watched, what is written, and why."""
