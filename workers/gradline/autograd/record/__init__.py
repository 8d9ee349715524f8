"""What happened while a program ran."""
