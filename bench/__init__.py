"""How fast Parley is beside a relay that stores nothing, in one run; no test depends on it.

Every figure is taken of several systems by turns (A, B, A, B, …), with the same client, the same
model and the same prompts, so that whatever else the machine does falls on all of them.
"""
