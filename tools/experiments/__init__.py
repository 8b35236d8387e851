"""Experiments that others have published too; README.md reports what was tried and learnt."""
