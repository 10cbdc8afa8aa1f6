"""Measuring this machine: small networks and collectives timed as they run in training, and tasks replayed."""
