"""What can go wrong with the embedded servers, in words a newcomer can act on."""


class EmbeddedError(Exception):
    """An embedded server cannot do what was asked; the text says why and what to do."""


class PortTakenError(EmbeddedError):
    """Another program listens on the chosen port."""
