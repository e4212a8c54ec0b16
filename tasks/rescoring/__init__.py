"""Embeddings as they were stored, scored again: found in records, or packed many to a file."""
