"""What others said, as it may be shown: names and reasons come from anywhere."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return *text* in one line that does nothing to a terminal but show it.

    Control characters of any kind, and what ends a line, turns it round or cannot be
    seen, are escaped as Python does it.

    >>> print(printable("a\nb \x1b[2J \u2028 ü"))
    a\nb \x1b[2J \u2028 ü
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
