"""Stiff and soft regions found from joint draws: excursion sets of a stated probability, and figures of each."""
