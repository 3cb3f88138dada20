"""`python -m coopfs` is the command `coopfs`: how daemons and demo networks are started without relying on PATH."""

from coopfs.cli.main import main

main()
