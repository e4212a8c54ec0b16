"""One module a command; `worker.cli` parses and these work."""
