"""Other systems doing the same jobs, each in an environment of its own."""
