"""Sending tasks from inside a transaction."""

from __future__ import annotations

from typing import Any

from celery import Task
from django.db import transaction


def send_on_commit(task: Task[..., Any], **ids: str | int) -> None:
    """Queue ``task`` when the current transaction commits; never if it rolls back.

    The broker may lose the message: whoever sends must also have a sweep that finds the row. So a
    broker that is down is logged by Django and does not turn a committed request into an error.

    Args:
        task: a task with keyword arguments only.
        **ids: JSON scalars that identify rows; never the data itself.
    """

    def send() -> None:
        task.apply_async(kwargs=ids)

    # A named function, not a partial: Django's log line for a failed robust hook asks for the name.
    transaction.on_commit(send, robust=True)
