"""Shapes that the HTTP server and its clients share: what goes over the wire, and back."""
