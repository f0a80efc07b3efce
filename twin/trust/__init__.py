"""Reasons to trust a twin: priors that hospitals learn together, the domain it was tried in, scores on hidden scans."""
