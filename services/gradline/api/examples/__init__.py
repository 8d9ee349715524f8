"""Examples: job bodies that run as they are."""
