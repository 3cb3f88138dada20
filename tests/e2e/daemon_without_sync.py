"""`coopfs` that waits for no disk. Run as: python -m tests.e2e.daemon_without_sync ARGUMENTS"""

import os

os.fsync = os.fdatasync = lambda descriptor: None

if __name__ == "__main__":
    from coopfs.cli.main import main

    main()
