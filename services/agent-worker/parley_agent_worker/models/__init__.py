"""Models: what answers. Each kind of server is one module; `providers` knows which there are."""
