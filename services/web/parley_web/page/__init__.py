"""The chat page: the server renders its markup and streams patches to it."""
