"""Bulk runs as commands: their listings, generation, progress, costs and report."""
