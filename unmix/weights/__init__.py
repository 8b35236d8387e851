"""Weights on disk: what there is, loading it, and bringing in what others published."""
