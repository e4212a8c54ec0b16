"""Files to safe pixels: what a file is, decoding it, measuring it, and the processes that a hostile file may break."""
