"""The HTTP API, which is the Python API, and the page that stands on it. Needs the extra [web]."""
