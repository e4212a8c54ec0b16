"""What of an English query means nothing by itself."""

_STOP = """
a about above across after against all along also am among an and another any are around as at away be been before
behind being below beneath beside between both but by can could did do does doing down during each every few for
from front get gets getting go goes going got had has have having he her here hers him his how i if in inside into
is it its itself just lots many may me might more most much my near next nor of off on one onto or other our out
outside over own per put puts several she should so some such than that the their them then there these they this
those through to together too toward towards two under until up upon us very was we were what when where which
while who whose will with within would you your
"""

STOP = frozenset(_STOP.split())
"""Words that are no query: a concept that is spelt so is found by another of its names, or in a longer phrase."""

WITHOUT = frozenset(("no", "not", "without"))
"""What follows these is not wanted; where the phrase itself is a concept ("no people") that comes first."""
