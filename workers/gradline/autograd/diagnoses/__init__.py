"""What went wrong in a program, why, and how to mend it."""
