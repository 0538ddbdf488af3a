"""For every test: no property fails for being slow, since a busy machine says nothing about the property."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
