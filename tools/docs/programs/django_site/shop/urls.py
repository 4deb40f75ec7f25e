"""What the site answers."""

from __future__ import annotations

import os

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from segops_durable.contrib.django import track_on_commit
from shop.models import Order


@csrf_exempt
@transaction.atomic
def buy(request: HttpRequest, article: str) -> HttpResponse:
    """Sell an article; if the transaction is rolled back, nothing was sold and nothing tracked."""
    order = Order.objects.create(article=article)
    payload = {"order": order.pk, "article": article}
    track_on_commit(user_id="user-123", event_type="order_placed", payload=payload)
    if article == "nothing":
        raise ValueError("there is no such article")
    return JsonResponse({"bought": article})


def worker(request: HttpRequest) -> HttpResponse:
    """Say which process answers."""
    return JsonResponse({"pid": os.getpid()})


urlpatterns = [path("buy/<article>", buy), path("worker", worker)]
