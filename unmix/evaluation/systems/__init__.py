"""What is scored: models, baselines, and files of any other system."""
