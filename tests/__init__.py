"""The test suite; a package, so that tests can share their parts."""
