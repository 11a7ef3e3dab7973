"""Other ways to decide, to compare the production one with."""
