"""Searches, wired: an index, the vocabulary and the model that made it."""
