"""Addresses, and who answers for what Django refuses itself."""

from django.urls import path, re_path

from services.django_app import views

urlpatterns = [
    path("", views.PageView.as_view()),
    path("healthz", views.HealthView.as_view()),
    path("readyz", views.ReadinessView.as_view()),
    path("openapi.json", views.DescriptionView.as_view()),
    path("explain", views.ExplainView.as_view()),
    path("v1/models", views.ModelsView.as_view()),
    re_path(r"^v1/models/(?P<name>[^/]+):explain$", views.ExplainInstancesView.as_view()),
    re_path(r"^v1/models/(?P<name>[^/]+):predict$", views.PredictInstancesView.as_view()),
    re_path(r"^v1/models/(?P<name>[^/]+)$", views.ModelView.as_view()),
    re_path(r"^static/(?P<name>page\.css|page\.js)$", views.StaticView.as_view()),
]
handler400 = "services.django_app.errors.answer_broken"
handler403 = "services.django_app.errors.answer_foreign_form"
handler404 = "services.django_app.errors.answer_unknown"
handler500 = "services.django_app.errors.answer_failure"
