"""What somebody signs: which use cases are worth building, and what stands against them."""
