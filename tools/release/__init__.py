"""Release models: weights, scores, cards, the manifest and its table."""
