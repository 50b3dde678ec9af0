"""`python -m services.serve_django --port 8001`: the Django app under waitress."""

from services.django_app.wsgi import application
from services.serving import serve

if __name__ == "__main__":
    from services.django_app.settings import SERVE
    from services.django_app.views import find_service

    serve(application, find_service(), SERVE)
