"""Files on disk: written whole or not at all, hashed, and the folder of the user's cache."""

from .files import cache_folder, reach_disk, sha256_of
from .hidden import hidden_folder, remove_leftovers
from .paths import Existing, check_existing, one_name, outputs_to_write, writing
from .publish import put_in_place
from .staged import staging, written_whole

__all__ = [
    "Existing",
    "cache_folder",
    "check_existing",
    "hidden_folder",
    "one_name",
    "outputs_to_write",
    "put_in_place",
    "reach_disk",
    "remove_leftovers",
    "sha256_of",
    "staging",
    "writing",
    "written_whole",
]
