"""How the table is written: `name name ... = keyword keyword ...`, the names, and the keyword arguments they take."""


def read(block: str, prefix: str = "") -> dict[str, frozenset[str]]:
    """Every name of a block with its keywords."""
    entries: dict[str, frozenset[str]] = {}
    for line in block.strip().splitlines():
        names, _, keywords = line.partition("=")
        entries.update({prefix + name: frozenset(keywords.split()) for name in names.split()})
    return entries


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
