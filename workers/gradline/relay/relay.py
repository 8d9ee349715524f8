"""The loop of a relay: claim what is due, carry it, leave a server alone that does not answer."""

import threading

import structlog

from gradline import liveness
from gradline.db.runs import Run, RunStore
from gradline.db.session import Database
from gradline.relay.breaker import Breaker
from gradline.relay.carrier import Carrier, RunLost, Stopping
from gradline.relay.tracking import Tracking
from gradline.storage import ArtifactStore

RUNS_PER_ROUND = 10
PAUSE_AFTER_ERROR_S = 5.0
PAUSE_TICKS = 10
"""Ticks between two visits to the server for one run: tracking shares the processors with training."""

log = structlog.get_logger(__name__)


class Relay:
    """One relay of any number; each run is held by one of them at a time."""

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        tracking: Tracking,
        relay_id: str,
        *,
        tick_s: float = 0.5,
        lease_s: float = 60.0,
    ) -> None:
        self._stop = threading.Event()
        self._runs = RunStore(database, lease_s)
        self._carrier = Carrier(database, self._runs, artifacts, tracking, relay_id, self._stop.is_set)
        self._tracking = tracking
        self._relay_id = relay_id
        self._tick_s = tick_s
        self._breaker = Breaker()

    def stop(self) -> None:
        """Called from a signal handler: the current call is finished, nothing new is begun."""
        self._stop.set()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stop.is_set():
            liveness.beat("relay")
            try:
                wait_s = self.round()
            except Exception:
                log.exception("relay_round_failed")
                wait_s = PAUSE_AFTER_ERROR_S
            self._stop.wait(wait_s)
        self._runs.give_back(self._relay_id)

    def round(self) -> float:
        """Carry what is due now, up to a handful of runs; the time until the next round."""
        if self._breaker.is_tripped and not self._is_back():
            return self._breaker.wait_s
        runs = self._runs.claim_due(self._relay_id, RUNS_PER_ROUND)
        for run in runs:
            if self._stop.is_set():
                break
            if not self._carry(run):
                self._runs.give_back(self._relay_id)
                return self._breaker.wait_s
        return 0.0 if len(runs) == RUNS_PER_ROUND else self._tick_s

    def _carry(self, run: Run) -> bool:
        """False where the server is away."""
        with structlog.contextvars.bound_contextvars(job_id=str(run.job_id)):
            try:
                self._carrier.carry(run, PAUSE_TICKS * self._tick_s)
            except RunLost:
                log.warning("run_lost")
            except Stopping:
                log.info("relay_interrupted")
            except Exception as error:  # noqa: BLE001  MLflow's client raises many kinds; the row keeps what it was
                return self._put_off(run, error)
        return True

    def _put_off(self, run: Run, error: Exception) -> bool:
        if not self._tracking.is_up():
            self._breaker.trip()
            log.warning("mlflow_down", error=str(error), wait_s=round(self._breaker.wait_s, 1))
            return False
        log.warning("run_put_off", error=str(error), n_failures=run.n_failures + 1, exc_info=error)
        self._tracking.forget_experiments()
        self._carrier.recover(run, f"{type(error).__name__}: {error}"[:2000])
        return True

    def _is_back(self) -> bool:
        if self._breaker.wait_s > 0 or not self._tracking.is_up():
            if self._breaker.wait_s == 0:
                self._breaker.trip()
            return False
        self._breaker.reset()
        log.info("mlflow_up")
        return True
