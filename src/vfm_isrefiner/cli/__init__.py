"""The commands; `main` dispatches, and only this package reads configuration."""

import os

# OpenMP reads this once, when torch is imported. Threads that wait by spinning are costly where other processes want the
# same cores: a step of the demo took 8 s on two cores shared by three processes, and 0.6 s with threads that sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
