"""Changes between two sessions of one person, with intervals for all that differs between two scans."""
