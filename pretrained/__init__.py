"""The weights that come with the package: one folder per model, listed in ``manifest.toml``."""
