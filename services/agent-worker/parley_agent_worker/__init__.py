"""Runs turns: asks models, calls tools, streams the answer."""
