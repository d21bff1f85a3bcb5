"""Evaluations as the paper's tables and figures."""
