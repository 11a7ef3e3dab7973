"""Outcomes as a page."""
