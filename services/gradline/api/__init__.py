"""The REST API: FastAPI over the job store. It imports no torch and waits for neither broker nor MLflow."""
