"""The commands; `main` dispatches, and only this package reads configuration."""
