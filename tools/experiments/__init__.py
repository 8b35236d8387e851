"""Experiments with published counterparts; README.md tells what was tried and learnt."""
