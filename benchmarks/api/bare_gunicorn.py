"""``gunicorn.conf.py`` for the bare view: the same processes, without the product's hooks."""

import runpy

_production = runpy.run_path("gunicorn.conf.py")
globals().update({name: value for name, value in _production.items() if not callable(value)})
