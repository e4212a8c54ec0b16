"""Bulk runs: what a listing shows to be missing goes to workers, until nothing is."""
