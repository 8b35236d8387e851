"""Training: losses, the loop, checkpoints. Needs the extra ``unmix[train]``."""
