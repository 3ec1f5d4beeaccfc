"""Mechanical and acoustic systems."""
