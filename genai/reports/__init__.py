"""What was recorded, as figures a person can act on."""
