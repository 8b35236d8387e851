"""Separation of recordings of any length: chunks, overlap-add, resampling. Opens no files."""
