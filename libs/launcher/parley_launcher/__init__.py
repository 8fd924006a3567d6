"""./parley: starts the house on one machine, and talks to it from the terminal."""
