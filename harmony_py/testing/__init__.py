"""For testing implementations of the harmony format, this one and any other."""
