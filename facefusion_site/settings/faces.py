"""Settings of faces that are found in uploads, and named in jobs."""

import environ

env = environ.Env()

FACES_RATE = env.str("FACES_RATE", default="60/m")
# Most faces that one search keeps; the largest, or those seen most often.
FACES_MAX = env.int("FACES_MAX", default=50)
# Most frames of a video that one search looks at; never more than two a second.
FACE_SAMPLES_MAX = env.int("FACE_SAMPLES_MAX", default=60)
# Found faces, and what tells them apart, are forgotten after this long; and with their upload.
FACES_TTL_S = env.int("FACES_TTL_S", default=7 * 24 * 60 * 60)
# Whether a filter may ask for the guessed race of a face, which is a sensitive attribute.
FACES_ALLOW_RACE = env.bool("FACES_ALLOW_RACE", default=False)
