"""The conductor: rescues jobs whose worker fell silent, rings for what waits, clears away the old."""
