"""Weights on disk: listing, loading, downloading and converting them."""

#: Name of the model that is used if none is named.
DEFAULT = "default"
