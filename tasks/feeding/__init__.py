"""The third way in: search indexes that are kept equal to the sidecars."""
