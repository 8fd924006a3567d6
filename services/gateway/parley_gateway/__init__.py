"""Owns the database and every decision: what is accepted, which turn is next, what is final."""
