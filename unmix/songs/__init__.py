"""A song file to stem files, to a backing track, or to a picture."""
