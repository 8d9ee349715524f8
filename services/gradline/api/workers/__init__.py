"""Who is alive and what waits: workers and lanes."""
