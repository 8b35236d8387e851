"""What ``render_accompaniment.py`` is made of: songs, MIDI, players, and what they sound like."""
