"""Listings of images and of records, side by side: what is missing, stale or left over."""
