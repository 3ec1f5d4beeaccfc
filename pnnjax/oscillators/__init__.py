"""Coupled oscillators."""
