"""The durable queue: DBOS as the API process sees it. Workers take from it in worker.py."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from dbos import DBOSClient, EnqueueOptions

from songbloom.serve.database import AWAY
from songbloom.serve.records import LAST

log = logging.getLogger(__name__)

APPLICATION = "songbloom"
# Pinned: DBOS lets a worker recover only jobs of its own version, and ours must outlive an upgrade.
VERSION = "songbloom-jobs-1"
QUEUE = "songs"
WORKFLOW = "make_song"


class JobQueue:
    """Queue entries, one for every job, of the same id."""

    def __init__(self, engine: sa.Engine) -> None:
        # An unreachable database must be an error here, not a wait: the client is told to come back.
        self._client = DBOSClient(
            system_database_engine=engine, application_name=APPLICATION, lazy=True, retry_connection_errors=False
        )

    def add(self, connection: sa.Connection, job_id: str, priority: int) -> None:
        """Queue a job within the caller's transaction; lower priorities come first."""
        self._client.enqueue_in_transaction(connection, _options(job_id, priority), job_id)

    def hand_over(self, job_ids: Sequence[str]) -> None:
        """Queue jobs again whose worker is gone. DBOS takes the earlier execution's right to report a result."""
        if job_ids:
            self._client.resume_workflows(list(job_ids), queue_name=QUEUE)

    def running_on(self, worker: str) -> list[str]:
        """Jobs that were given to a worker and have not come back."""
        found = self._client.list_workflows(executor_id=worker, status="PENDING", load_input=False, load_output=False)
        return [workflow.workflow_id for workflow in found]

    def mend(self, waiting: Sequence[str], alive: Collection[str]) -> None:
        """See that every waiting job has an entry that will be run; what is queued needlessly does no harm.

        A worker may die between taking an entry and marking the job as its own, or a report of DBOS may have been
        lost with the database.
        """
        for start in range(0, len(waiting), 500):
            part = waiting[start : start + 500]
            entries = self._client.list_workflows(workflow_ids=list(part), load_input=False, load_output=False)
            status = {entry.workflow_id: entry for entry in entries}
            taken = [e.workflow_id for e in entries if e.status == "PENDING" and e.executor_id not in alive]
            if taken:
                log.warning("queueing again what a dead worker had taken: %s", ", ".join(taken))
                self.hand_over(taken)
            for job_id in part:
                if job_id not in status or status[job_id].status not in ("ENQUEUED", "DELAYED", "PENDING"):
                    log.warning("queueing again %s, which had no entry", job_id)
                    self.forget([job_id])
                    self._client.enqueue(_options(job_id, LAST), job_id)

    def forget(self, job_ids: Sequence[str]) -> None:
        """Remove entries. Left behind they do no harm: a worker finds no job to do."""
        try:
            if job_ids:
                self._client.delete_workflows(list(job_ids))
        except AWAY as error:
            log.warning("queue entries are left behind: %s", str(error).splitlines()[0])


def _options(job_id: str, priority: int) -> EnqueueOptions:
    return {
        "workflow_name": WORKFLOW,
        "queue_name": QUEUE,
        "workflow_id": job_id,
        "app_version": VERSION,
        "priority": priority,
    }
