"""`python -m parley_gateway.backup > FILE`: everything that the database holds at this moment.

The gateway may run meanwhile. The access token and the providers' keys are settings of the
installation and are not in it.
"""

from __future__ import annotations

import os
import sys

from parley_gateway.settings import GatewaySettings
from parley_gateway.store.database import database_url, require_database
from parley_gateway.store.dump import dump, snapshot
from parley_gateway.terminal import ends_in_a_sentence, tell


@ends_in_a_sentence
def main() -> None:
    """Write the backup to standard output; what it holds is told on standard error."""
    settings = GatewaySettings()
    url = database_url(settings.data, settings.database_url)
    require_database(url)
    output = os.fdopen(sys.stdout.fileno(), "wb", closefd=False)
    with snapshot(url) as connection, output:
        rows = dump(connection, output)
    tell(f"{rows['threads']:,} threads and {rows['messages']:,} messages are in the backup")


if __name__ == "__main__":
    main()
