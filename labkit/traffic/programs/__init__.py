"""curl and Fortio themselves, where they are installed."""
