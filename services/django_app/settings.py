"""Settings of Django: no database, no sessions, no users; only what a service of explanations needs."""

from services.core.settings import Settings
from services.core.wsgi import MOST_PARTS

SERVE = Settings.read()

DEBUG = False
SECRET_KEY = SERVE.secret
ALLOWED_HOSTS = list(SERVE.hosts)
ROOT_URLCONF = "services.django_app.urls"
WSGI_APPLICATION = "services.django_app.wsgi.application"
APPEND_SLASH = False
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS: list[str] = []
MIDDLEWARE = [
    "services.django_app.middleware.add_headers",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "services.django_app.middleware.answer_refusals",
    "django.middleware.csrf.CsrfViewMiddleware",  # every view is exempt, but for the page's form
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [__file__.rsplit("/", 2)[0] + "/templates"],
    }
]
# A proxy that ends TLS hands on plain HTTP, and yet the page's address begins with https.
CSRF_TRUSTED_ORIGINS = [f"https://{'*' if host.startswith('.') else ''}{host}" for host in SERVE.hosts if host != "*"]
CSRF_COOKIE_HTTPONLY = True  # the token stands in the form, no script has to read it
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "services.django_app.errors.answer_foreign_form"
SECURE_REFERRER_POLICY = "same-origin"

# Bytes are counted before Django sees them. Its own limit does not cover files, and of larger files it would write a
# copy to the disk.
DATA_UPLOAD_MAX_MEMORY_SIZE = SERVE.most_bytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = MOST_PARTS
DATA_UPLOAD_MAX_NUMBER_FILES = MOST_PARTS
FILE_UPLOAD_MAX_MEMORY_SIZE = SERVE.most_bytes
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]

LOGGING_CONFIG = None  # whoever starts the server decides
