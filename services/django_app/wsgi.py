"""What a WSGI server runs: Django behind the counting front."""

import os

from django.core.wsgi import get_wsgi_application

from services.core.wsgi import Front

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "services.django_app.settings")

_django = get_wsgi_application()

from services.django_app.settings import SERVE  # noqa: E402 - Django reads its settings first
from services.django_app.views import find_service  # noqa: E402

find_service()  # the model is loaded now, and not when the first request comes
application = Front(_django, SERVE)
