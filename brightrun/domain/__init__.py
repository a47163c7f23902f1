"""The nouns and rules of Bright Run: pure, no input or output, no vendor."""
