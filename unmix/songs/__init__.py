"""A song file to stem files (separate), a karaoke version, or a picture (plot)."""
