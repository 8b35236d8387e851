"""Systems to score: models, baselines, and files from any other system."""
