"""`python -m services.serve_flask --port 8000`: the Flask app under waitress."""

from services.core.settings import Settings
from services.flask_app import create_app
from services.serving import serve, start_plainly

if __name__ == "__main__":
    with start_plainly():
        settings = Settings.read()
        app = create_app(settings)
    serve(app, app.service, settings)
