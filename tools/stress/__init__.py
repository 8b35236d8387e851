"""Stress: damaged inputs, fuzzing, kills, full disks, long loads and wheels, counted."""
