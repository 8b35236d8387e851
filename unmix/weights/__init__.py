"""Weights on disk: listing, loading, downloading and converting them."""
