"""Tools for maintainers, run from a clone: never installed, imported by tests alone."""
