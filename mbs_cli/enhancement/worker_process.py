"""What runs inside an enhancing child: `python -m mbs_cli.enhancement.worker_process`.

The first question is an `Engine`, every later one a list of tasks. Each is answered by the events
of the work, then by None; an MbsError or the text of an unexpected failure ends the work early.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence

from mbs_cli.child_process import serve
from mbs_cli.enhancement.engine import Engine
from mbs_cli.enhancement.report import Finished, ModelLoaded
from mbs_cli.enhancement.run import run_tasks
from mbs_cli.enhancement.task import Task
from mbs_cli.errors import MbsError


class _Worker:
    """A model, loaded once."""

    def answer(self, question: Engine | Sequence[Task], send: Callable[[object], None]) -> None:
        """Send all answers to a question."""
        try:
            if isinstance(question, Engine):
                self._engine, self._model = question, question.load()
                send(ModelLoaded())
            else:
                for report in run_tasks(self._model, question, self._engine.batch_size, send):
                    send(Finished(report))
            send(None)
        except BrokenPipeError:  # the parent is gone
            sys.exit(1)
        except MbsError as error:
            send(error)
        except Exception:  # noqa: BLE001 - told to the parent, which raises it
            send(traceback.format_exc())


if __name__ == "__main__":
    serve(_Worker().answer)
