"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says something of the machine and of what compiles, and nothing of us.
settings.register_profile("cmpc", deadline=None)
settings.load_profile("cmpc")
