"""The phone's app, as a person holds it: a real bridge over TLS, a real browser with a phone's screen."""
