"""Parts that at least two architectures share: features in, features out, nothing of audio."""
