"""The web page and the HTTP API: translates between people and the bus."""
