"""Generations as commands: found, compared, dropped."""
