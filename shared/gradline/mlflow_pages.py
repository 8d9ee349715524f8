"""Where MLflow's pages are. Without the workflow in an address, its UI opens in its mode for language models."""

_WORKFLOW = "workflowType=machine_learning"


def runs_page(ui_url: str, experiment_id: str) -> str:
    return f"{ui_url}/#/experiments/{experiment_id}/runs?{_WORKFLOW}"


def run_page(ui_url: str, experiment_id: str, run_id: str) -> str:
    return f"{ui_url}/#/experiments/{experiment_id}/runs/{run_id}?{_WORKFLOW}"
