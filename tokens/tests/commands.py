"""Running commands in tests."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command


def run(capsys, *arguments, returncode=0, **options):
    """The JSON object that a command prints."""
    if returncode:
        with pytest.raises(CommandError) as failure:
            call_command(*arguments, json=True, **options)
        assert failure.value.returncode == returncode
    else:
        call_command(*arguments, json=True, **options)
    return json.loads(capsys.readouterr().out)
