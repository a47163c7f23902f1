"""Proofs that need a trainer: `make train-proof` and `make trainers`, each in an environment of its own."""
