"""Generations: the pointer to them, what made each, how two differ."""
