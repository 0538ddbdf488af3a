"""Figures for Prometheus: declared once, counted where things happen, read when somebody asks, served on loopback."""
