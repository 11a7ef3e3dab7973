"""The activator: the proxy that holds requests for sleeping revisions."""
