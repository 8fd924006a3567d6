"""`./parley chaos`: a Parley of its own is hurt at random while people talk to it, then judged.

`house` is the Parley, `faults` what is done to it, `conversations` the people, `listening` a reader
of its events. They leave their records in one folder, and `verdict` reads nothing but that folder.
"""
