"""genai."""
