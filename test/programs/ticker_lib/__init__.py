"""Observer pattern for the ticker."""
