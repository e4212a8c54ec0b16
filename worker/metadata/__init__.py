"""Metadata into pictures and beside them: XMP by hand, the files themselves through exiftool."""
