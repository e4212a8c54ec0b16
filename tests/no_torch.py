"""A pytest plugin, `-p tests.no_torch`: torch cannot be imported. The unit suite runs under it, and so proves it."""

import sys

sys.modules["torch"] = None  # type: ignore[assignment]
