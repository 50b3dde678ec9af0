"""`python -m services.serve_django --port 8001`: the Django app under waitress."""

from services.serving import serve, start_plainly

if __name__ == "__main__":
    with start_plainly():  # Django reads the settings when its application is made
        from services.django_app.settings import SERVE
        from services.django_app.views import find_service
        from services.django_app.wsgi import application
    serve(application, find_service(), SERVE)
