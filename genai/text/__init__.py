"""Looking at text without a model: sentences, words, support, and detectors."""
