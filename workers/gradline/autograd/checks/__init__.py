"""Every gradient compared with finite differences."""
