"""Accompaniments for training, rendered from MIDI files with FluidSynth."""
