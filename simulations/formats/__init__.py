"""How traces are written: one module for each family of formats."""
