"""Agencies' upload files: what is said of each image, what an agency would refuse of it, and the files themselves."""
