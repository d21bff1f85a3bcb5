"""The commands; `main` dispatches, and only this package reads configuration."""

import os

# OpenMP reads this once, when torch is imported. Threads that wait by spinning make a step ten times slower where other
# processes want the same cores (measured: 0.6 s and 8 s); sleeping ones cost nothing measurable where the cores are free.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
