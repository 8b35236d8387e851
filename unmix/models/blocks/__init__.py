"""Blocks that architectures are built from: features in, features out."""
