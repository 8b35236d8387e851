"""Recipes, one TOML file per model: what ``unmix train NAME`` reads."""
