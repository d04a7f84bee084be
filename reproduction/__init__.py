"""The tables and figures of the paper: its printed figures, experiments, reports."""
