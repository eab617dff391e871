"""What American households bought on Amazon: purchases counted so that nobody can be followed, and what they say."""
