"""Jobs: submit, read, list, change, follow, and fetch what they made."""
