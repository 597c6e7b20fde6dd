"""What all unit tests share: how patient the property tests are."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine may take long over an example that another one is done with in a moment.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
