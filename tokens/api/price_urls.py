"""Routes of published prices."""

from django.urls import path

from tokens.api.views import prices

urlpatterns = [
    path("pricing", prices.PricingView.as_view(), name="pricing"),
    path("pricing/history", prices.PricingHistoryView.as_view(), name="pricing-history"),
]
