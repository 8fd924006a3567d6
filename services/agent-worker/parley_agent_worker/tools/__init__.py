"""Tools: what a model may call. A tool is a Python function; its signature is its schema."""
