"""Settings of gunicorn: `gunicorn --config services/gunicorn_settings.py "services.flask_app:create_app()"`.

For Django the last word is `services.django_app.wsgi:application`. Every process loads the model for itself, some
1.1 GiB with FastNet, and uses one core for a pass: as many processes as there are cores, if there is memory for them.
"""

import logging
import os
import secrets
from typing import Any

bind = "127.0.0.1:8000"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 16  # that wait for the model, and some that say that they may not
graceful_timeout = 60
timeout = 120
control_socket_disable = True  # it would write into the home folder
max_requests = 0  # memory stays flat: nobody has to be replaced

# One secret for all processes, or the token of a page from one would be refused by another.
os.environ.setdefault("XNB_SERVE_SECRET", secrets.token_urlsafe(32))


def post_fork(server: Any, worker: Any) -> None:
    """Write the lines of the service beside those of gunicorn."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def worker_exit(server: Any, worker: Any) -> None:
    """End at once: every answer is sent and no file is open, and to take torch apart takes Python seconds."""
    logging.shutdown()
    os._exit(0)
