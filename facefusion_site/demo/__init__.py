"""The product's main job from an empty folder, through the public API: ``make demo``.

Starts the embedded servers, the web server, one worker and the scheduler, then plays an operator
and a user with real HTTP calls.
"""
