"""`python -m parley_gateway.restore < FILE`: a backup takes the place of the database.

Nobody may use the database meanwhile: a data folder in use is refused, and so is a database of a
server that holds anything. The broker may keep what it has; the next gateway finds out what is due.
"""

from __future__ import annotations

import os
import sys

from parley_gateway.lock import FolderLock, make_folder
from parley_gateway.settings import GatewaySettings
from parley_gateway.store.database import database_url
from parley_gateway.store.load import Backup
from parley_gateway.store.replace import replace_database
from parley_gateway.terminal import ends_in_a_sentence, tell


@ends_in_a_sentence
def main() -> None:
    """Read the backup from standard input."""
    os.umask(0o077)
    settings = GatewaySettings()
    url = database_url(settings.data, settings.database_url)
    make_folder(settings.data)
    lock = FolderLock(settings.data)
    backup = Backup(sys.stdin.buffer)
    kept = replace_database(url, backup)
    lock.release()
    if kept:
        tell(f"the database that was here before is now {kept}")
    tell(f"restored the backup of {backup.manifest.created_at:%Y-%m-%d %H:%M:%S} UTC")


if __name__ == "__main__":
    main()
