"""Simulations: the production machines in virtual time."""
