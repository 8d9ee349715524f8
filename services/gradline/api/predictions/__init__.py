"""`/v1/jobs/{id}/predict`."""
