"""A child of the drawing lane: draws the plots of jobs that have trained, without torch."""

from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.session import Database
from gradline.plots.drawing import draw_pending
from gradline.settings import Settings
from gradline.storage import ArtifactStore


class Drawer:
    """What the child holds."""

    def __init__(self, settings: Settings) -> None:
        database = Database(settings.database, pool_size=1)
        self._drawings, self._jobs = DrawingStore(database, settings.lease_s), JobStore(database)
        self._store = ArtifactStore(settings.store_url)

    def run_one(self, lane: str) -> bool:  # noqa: ARG002  (as Runner.run_one)
        """Draw the plots of one ended job; False where none wait."""
        return draw_pending(self._drawings, self._jobs, self._store)

    def shut_down(self) -> None:
        """Nothing to do: an unfinished drawing is drawn again once its lease lapses."""
