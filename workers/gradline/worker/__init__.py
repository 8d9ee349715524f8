"""The worker: one Celery parent per lane, warm children that each run one job at a time."""
